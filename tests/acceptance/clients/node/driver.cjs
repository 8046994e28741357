// ssh2-sftp-client on one connection: driver.cjs PORT USER KEY.
// Each line of standard input is a JSON list of an operation and its arguments; each line of output is a JSON object
// with its `result` or its `error`.
const fs = require("fs");
const readline = require("readline");
const Client = require("ssh2-sftp-client");

const [port, username, key] = process.argv.slice(2);

const operations = {
  put: (sftp, local, remote) => sftp.put(local, remote),
  get: (sftp, remote, local) => sftp.get(remote, local),
  rename: (sftp, old, renamed) => sftp.posixRename(old, renamed),
  list: async (sftp, directory) => (await sftp.list(directory)).map((item) => item.name),
  async resumePut(sftp, local, remote) {
    const start = (await sftp.stat(remote)).size;
    const rest = fs.createReadStream(local, { start });
    await sftp.put(rest, remote, { writeStreamOptions: { flags: "r+", start } });
  },
  async resumeGet(sftp, remote, local) {
    const start = fs.statSync(local).size;
    await sftp.get(remote, fs.createWriteStream(local, { flags: "a" }), { readStreamOptions: { start } });
  },
  async read(sftp, remote, start) {
    return String(await sftp.get(remote, undefined, { readStreamOptions: { start } }));
  },
};

async function answer(sftp, line) {
  const [operation, ...given] = JSON.parse(line);
  try {
    return { result: (await operations[operation](sftp, ...given)) ?? null };
  } catch (error) {
    return { error: String(error) };
  }
}

async function main() {
  const sftp = new Client();
  await sftp.connect({ host: "127.0.0.1", port: Number(port), username, privateKey: fs.readFileSync(key) });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(sftp, line)));
  }
  await sftp.end();
}

main().catch((error) => {
  console.log(JSON.stringify({ error: String(error) }));
  process.exitCode = 1;
});
