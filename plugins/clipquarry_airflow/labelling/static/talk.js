// Requests to the server. A refusal that another try cannot change is an error with `final`.

const MARK = { "X-Clipquarry": "labelling", "Content-Type": "application/json" };
const TIME_OUT = 15000;

export class Refused extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
    this.signedOut = status === 401;
    this.final = [400, 403, 404, 409, 413, 415, 422].includes(status);
  }
}

async function answerOf(response) {
  let told;
  try {
    told = await response.json();
  } catch {
    throw new Refused("The server's answer is not readable.", response.ok ? 500 : response.status);
  }
  if (!response.ok) throw Object.assign(new Refused(told.sentence || "The server refuses this.", response.status), { faults: told.faults });
  return told;
}

export async function get(path) {
  return answerOf(await fetch(path, { signal: AbortSignal.timeout(TIME_OUT) }));
}

export async function post(path, body) {
  const options = { method: "POST", headers: MARK, body: JSON.stringify(body), signal: AbortSignal.timeout(TIME_OUT) };
  return answerOf(await fetch(path, options));
}

// A file as it is, which may take a while.
export async function send(path, file) {
  return answerOf(await fetch(path, { method: "POST", headers: MARK, body: file, signal: AbortSignal.timeout(10 * TIME_OUT) }));
}
