// Misdeeds of an adapter, in plain Node: the first argument names the one to commit. Beside it, the same for Python.
import { spawn } from "node:child_process";
import { connect } from "node:net";
import { writeSync } from "node:fs";

const misdeed = process.argv[2];
const rest = () => setInterval(() => {}, 3_600_000);
const child = (detached) =>
  spawn(process.execPath, ["-e", "setInterval(() => {}, 3600000)"], { detached, stdio: "ignore" }).unref();

const hello = (changes = {}) => ({
  hello: 1,
  token: process.env.MCP_LIFECHECK_TOKEN,
  adapter: "misdeeds",
  contexts: ["task", "thread", "loop"],
  operations: ["load", "call", "list", "close", "probe"],
  observes: [],
  ...changes,
});

const line = (link, message) => link.write(`${JSON.stringify(message)}\n`);

// Writes forever, as fast as the other end takes it.
const pour = (link, bytes) => {
  const more = () => {
    while (link.write(bytes));
    link.once("drain", more);
  };
  more();
};

const flood = (descriptor) => {
  for (;;) writeSync(descriptor, "flood ".repeat(10_000));
};

// Whether the command is to be answered after the misdeed.
const commit = (moment, link) => {
  switch (`${misdeed}@${moment}`) {
    case "exit-in-load@load":
    case "exit-in-call@call":
      process.exit(9);
    case "garbage-line@call":
      link.write("no JSON at all\n");
      return true;
    case "binary-line@call":
      link.write(Buffer.from([0x00, 0xff, 0xfe, 0x80, 0x0a]));
      return true;
    case "foreign-channel@call":
      line(link, { event: "error.reported", channel: "stderr", text: "made up" });
      return true;
    case "half-line@call":
      link.write('{"n":1,"at_us":');
      return false;
    case "cut-line@call":
      link.write('{"n":1,"at_us":', () => process.exit(0));
      return false;
    case "endless-line@call":
      pour(link, "x".repeat(65_536));
      return false;
    case "flood-events@call":
      pour(link, `${JSON.stringify({ event: "error.reported", channel: "panic", text: "flood ".repeat(1_000) })}\n`);
      return false;
    case "flood-lines@call":
      pour(link, "{}\n".repeat(10_000));
      return false;
    case "hello-again@load":
      line(link, hello());
      return true;
    case "hang-up@call":
      link.destroy();
      return false;
    case "fork@load":
      child(false);
      return true;
    case "daemonise@load":
      child(true);
      return true;
    case "deaf@call":
      for (const name of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2"]) process.on(name, () => {});
      return false;
    case "flood-stdout@call":
      flood(1);
    case "flood-stderr@call":
      flood(2);
  }
  return true;
};

const answers = { load: { tools: [{ server: "files", name: "read" }], errors: {} }, call: { text: "made up" } };

const obey = (link, command) => {
  if (!command.do || !commit(command.do, link)) return;
  const isLast = command.do === "exit" || misdeed === `exit-after-${command.do}`;
  const leave = () => process.exit(command.do === "exit" ? 0 : 9);
  link.write(`${JSON.stringify({ id: command.id, ok: answers[command.do] ?? {} })}\n`, isLast ? leave : undefined);
};

const begin = (link) => {
  switch (misdeed) {
    case "never-hello":
      return;
    case "garbage-hello":
      return link.write("this is not a hello\n");
    case "half-hello":
      return link.write('{"hello":1,"tok');
    case "endless-hello":
      return pour(link, "x".repeat(65_536));
    case "wrong-version":
      return line(link, hello({ hello: 2 }));
    case "wrong-token":
      return line(link, hello({ token: "guessed" }));
    case "wrong-shape":
      return line(link, hello({ operations: "all" }));
    case "exit-after-hello":
      return link.write(`${JSON.stringify(hello())}\n`, () => process.exit(8));
    default:
      line(link, hello());
  }
};

if (misdeed === "exit-at-start") process.exit(7);
rest();
if (misdeed !== "never-dials") {
  const [host, port] = process.env.MCP_LIFECHECK_LINK.split(":");
  const link = connect(Number(port), host, () => begin(link));
  link.on("error", () => {});
  // Of a link that is never listened to, nothing is read.
  if (misdeed !== "never-reads") {
    let rest = "";
    link.on("data", (chunk) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop();
      for (const each of lines) obey(link, JSON.parse(each));
    });
  }
}
