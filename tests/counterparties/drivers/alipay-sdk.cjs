// Drives npm `alipay-sdk`, Alipay's own for Node, in certificate mode.
'use strict';

const { AlipaySdk } = require('alipay-sdk');
const { drive } = require('./driver.cjs');

const sdkOf = ({ keys, gateway }) => new AlipaySdk({
  appId: keys.app_id,
  privateKey: keys.app_key,
  keyType: 'PKCS8',
  appCertContent: keys.app_cert,
  alipayPublicCertContent: keys.alipay_cert,
  alipayRootCertContent: keys.root_cert,
  gateway,
  camelcase: false,
});

drive({
  // POST, common parameters in the query, biz_content in the form.
  call: (command) => sdkOf(command).exec(
    command.method, { biz_content: command.biz_content }, { validateSign: true },
  ),
  // GET with all parameters in the query, as a page of a shop would.
  call_by_get: async (command) => {
    const { method, biz_content } = command;
    const sdk = sdkOf(command);
    const url = `${command.gateway}?${sdk.sdkExecute(method, { biz_content })}`;
    const text = await (await fetch(url)).text();
    const key = `${method.replaceAll('.', '_')}_response`;
    const told = JSON.parse(text);
    sdk.checkResponseSign(text, key, told.sign, '');
    return told[key];
  },
  // The parameters of a request with their signature, as a query.
  signed: (command) => sdkOf(command).sdkExecute(
    command.method, { biz_content: command.biz_content },
  ),
  certificate_numbers: (command) => {
    const { appCertSn, alipayCertSn, alipayRootCertSn } = sdkOf(command).config;
    return { app: appCertSn, alipay: alipayCertSn, root: alipayRootCertSn };
  },
  // The form is decoded here as a web framework would, then the SDK decides.
  read_notification: (command) => {
    const form = Object.fromEntries(new URLSearchParams(command.body));
    const sdk = sdkOf(command);
    return {
      raw: sdk.checkNotifySignV2(form),
      decoding: sdk.checkNotifySign(form),
      form,
    };
  },
});
