// One operation of ssh2-sftp-client: driver.cjs PORT USER KEY OPERATION ARGUMENT...
const fs = require("fs");
const Client = require("ssh2-sftp-client");

const [port, username, key, operation, ...given] = process.argv.slice(2);

const operations = {
  put: (sftp, local, remote) => sftp.put(local, remote),
  get: (sftp, remote, local) => sftp.get(remote, local),
  rename: (sftp, old, renamed) => sftp.posixRename(old, renamed),
  list: async (sftp, directory) => console.log(JSON.stringify((await sftp.list(directory)).map((item) => item.name))),
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
    process.stdout.write(await sftp.get(remote, undefined, { readStreamOptions: { start: Number(start) } }));
  },
};

async function main() {
  const sftp = new Client();
  try {
    await sftp.connect({ host: "127.0.0.1", port: Number(port), username, privateKey: fs.readFileSync(key) });
    await operations[operation](sftp, ...given);
  } finally {
    await sftp.end();
  }
}

main().catch((error) => {
  console.error(String(error));
  process.exitCode = 1;
});
