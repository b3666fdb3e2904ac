// Drives npm `wechatpay-axios-plugin`: a signed client that verifies answers, and its RSA and AES.
'use strict';

const { createHash } = require('node:crypto');
const { gunzipSync } = require('node:zlib');
const { Wechatpay, Rsa, Aes, Formatter } = require('wechatpay-axios-plugin');
const { drive } = require('./driver.cjs');

const BILLS = '/v3/fund-app/mch-transfer/transfer-bills';

const clientOf = ({ keys, url }) => new Wechatpay({
  baseURL: url,
  mchid: keys.mchid,
  serial: keys.merchant_serial,
  privateKey: keys.merchant_key,
  certs: keys.platform,
  proxy: false,
}).client;

/** A refusal of the provider is an answer; what the SDK refuses to believe is an error. */
async function told(promise) {
  try {
    const { status, data } = await promise;
    return { status, data };
  } catch (error) {
    // Every verification failure of the plugin is named EV3_….
    if (error.response && !String(error.code).startsWith('EV3_')) {
      return { status: error.response.status, data: error.response.data };
    }
    throw error;
  }
}

const request = (command, method, path, data, headers) =>
  told(clientOf(command).v3.request({
    url: path, method, data, headers: { 'Wechatpay-Serial': command.serial, ...headers },
  }));

drive({
  create: (command) => {
    const bill = { ...command.bill };
    if (command.user_name) {
      bill.user_name = Rsa.encrypt(command.user_name, command.keys.platform[command.serial]);
    }
    return request(command, 'post', BILLS, bill);
  },
  query: (command) => request(command, 'get', `${BILLS}/out-bill-no/${command.number}`),
  query_by_theirs: (command) => request(command, 'get', `${BILLS}/transfer-bill-no/${command.number}`),
  cancel: (command) => request(command, 'post', `${BILLS}/out-bill-no/${command.number}/cancel`),
  get: (command) => request(command, 'get', command.path),
  // Certificates come sealed with the APIv3 key.
  certificates: async (command) => {
    const { data } = await request(command, 'get', '/v3/certificates');
    return data.data.map(({ serial_no, encrypt_certificate: sealed }) => ({
      serial_no,
      certificate: Aes.AesGcm.decrypt(
        sealed.ciphertext, command.keys.api_v3_key, sealed.nonce, sealed.associated_data,
      ),
    }));
  },
  // Asked for, fetched, unpacked, compared with its hash, and read by the plugin.
  bill: async (command) => {
    const query = `bill_date=${command.day}&account_type=OPERATION&tar_type=GZIP`;
    const { status, data } = await request(command, 'get', `/v3/bill/fundflowbill?${query}`);
    if (status !== 200) return { status, data };
    const { pathname, searchParams } = new URL(data.download_url);
    const file = await clientOf(command).v3.request({
      url: pathname, params: searchParams, method: 'get', responseType: 'arraybuffer',
    });
    const text = gunzipSync(file.data);
    const hash = createHash('sha1').update(text).digest('hex');
    return {
      status, hash_fits: hash === data.hash_value.toLowerCase(), ...Formatter.castCsvBill(text),
    };
  },
  // The `Authorization` header of a request.
  signed: ({ keys, method, target, body }) => {
    const [timestamp, nonce] = [Formatter.timestamp(), Formatter.nonce()];
    const text = Formatter.request(method, target, timestamp, nonce, body);
    const signature = Rsa.sign(text, keys.merchant_key);
    return Formatter.authorization(
      keys.mchid, nonce, signature, timestamp, keys.merchant_serial,
    );
  },
  decrypt: ({ keys, text }) => Rsa.decrypt(text, keys.merchant_key),
  read_notification: ({ keys, headers, body }) => {
    const key = keys.platform[headers['wechatpay-serial']];
    const text = Formatter.response(
      headers['wechatpay-timestamp'], headers['wechatpay-nonce'], body,
    );
    if (!key || !Rsa.verify(text, headers['wechatpay-signature'], key)) {
      throw new Error('the signature is wrong');
    }
    const { ciphertext, nonce, associated_data: aad } = JSON.parse(body).resource;
    return JSON.parse(Aes.AesGcm.decrypt(ciphertext, keys.api_v3_key, nonce, aad));
  },
  make_notification: ({ keys, serial, signing_key, event, plaintext }) => {
    const nonce = Formatter.nonce(12);
    const aad = 'mch_payment';
    const body = JSON.stringify({
      ...event,
      resource: {
        original_type: 'mch_payment',
        algorithm: 'AEAD_AES_256_GCM',
        ciphertext: Aes.AesGcm.encrypt(JSON.stringify(plaintext), keys.api_v3_key, nonce, aad),
        associated_data: aad,
        nonce,
      },
    });
    const timestamp = String(Formatter.timestamp());
    const word = Formatter.nonce();
    const signature = Rsa.sign(
      Formatter.response(timestamp, word, body), Rsa.from(signing_key, Rsa.KEY_TYPE_PRIVATE),
    );
    return {
      headers: {
        'content-type': 'application/json',
        'wechatpay-timestamp': timestamp,
        'wechatpay-nonce': word,
        'wechatpay-signature': signature,
        'wechatpay-signature-type': 'WECHATPAY2-SHA256-RSA2048',
        'wechatpay-serial': serial,
      },
      body,
    };
  },
});
