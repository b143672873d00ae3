// A function behind a URL, in JavaScript: `node wrap.mjs 9000`, and in the gateway's http_push file
// ["js.double"] with url = "http://127.0.0.1:9000/". It answers by its receipt, and then by its response.
import { createServer } from "node:http";

export const wrap = (fn) => async (request, response) => {
  let body = "";
  for await (const part of request) body += part;
  const job = JSON.parse(body);
  const headers = { "Content-Type": "application/json", "X-Job-Token": job.token };
  const report = (receipt) => fetch(job.receipt, { method: "POST", headers, body: JSON.stringify(receipt) });
  const answer = (status, value) => response.writeHead(status, headers).end(JSON.stringify(value ?? null));
  try {
    const result = await fn(job.args, job);
    await report({ status: "success", result });
    answer(200, result);
  } catch (error) {
    await report({ status: "error", error: { type: error.name, message: error.message, trace: error.stack } });
    answer(500, { error: error.message });
  }
};

const double = ({ value }) => {
  if (typeof value !== "number") throw new TypeError(`value must be a number, got ${value}`);
  return 2 * value;
};
if (process.argv[2]) createServer(wrap(double)).listen(Number(process.argv[2]), "127.0.0.1");
