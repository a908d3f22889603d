// Reads an AsyncAPI document with AsyncAPI's own parser and prints what it finds, as JSON.
"use strict";

const { Parser, fromFile } = require("@asyncapi/parser");

async function main(path) {
  const { document, diagnostics } = await fromFile(new Parser(), path).parse();
  const messages = document ? document.allMessages().all() : [];
  process.stdout.write(
    JSON.stringify({
      diagnostics: diagnostics.map(({ code, message, path: place, severity }) => ({ code, message, place, severity })),
      channels: document ? document.allChannels().all().map((each) => each.id()) : [],
      operations: document ? document.allOperations().all().map((each) => each.id()) : [],
      messages: messages.map((each) => each.id()),
      examples: messages.map((each) => each.examples().all().length),
      servers: document ? document.allServers().all().map((each) => [each.id(), each.protocol(), each.security().length]) : [],
    }),
  );
}

main(process.argv[2]).catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});
