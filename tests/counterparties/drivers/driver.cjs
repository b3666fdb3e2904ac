// What the Node drivers share: one JSON command on stdin, one JSON answer on stdout. An answer is either
// {"ok": …} or {"error": "…"} when the SDK itself refused. Must not know: any SDK.
'use strict';

/** Reads the command, carries it out with the function of its name, and answers. */
async function drive(commands) {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) text += chunk;
  const command = JSON.parse(text);
  let answer;
  try {
    answer = { ok: await commands[command.do](command) };
  } catch (error) {
    answer = { error: `${error.name}: ${error.code ?? ''} ${error.message}` };
  }
  process.stdout.write(JSON.stringify(answer));
}

module.exports = { drive };
