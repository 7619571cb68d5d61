// An agent in TypeScript, by the NATS client alone: every message it reads and writes stands here.
//
//   npm ci && node agent.ts NAME    joins the mesh at CEREBRO_NATS_URL (nats://127.0.0.1:4222) as NAME until Ctrl-C
//
// Node 24 runs the file as it is. It counts words, counts down, votes, learns and feels.

import { readFileSync } from "node:fs";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, headers, nkeyAuthenticator, type Msg, type NatsConnection } from "@nats-io/transport-node";

type Body = Record<string, any>;
type Outcome = { kind: "result" | "failed"; body: Body };

const NAME = process.argv[2] ?? "wordsmith";
const INSTANCE = randomUUID();
const PRESENCE = `$KV.presence.${NAME}.${INSTANCE}`;
const NEXT = `$JS.API.CONSUMER.MSG.NEXT.MESH.work-${NAME}`; // the mesh has made the consumer
const RISK_MAX = 0.5;
const BEAT_MS = 1_000;
const FETCH_MS = 5_000; // how long one request for work stands at the server
const PLEASANT = new Set(["task_succeeded", "proposal_accepted", "praise", "relief"]);
const PROFILE = {
  role: "wordsmith",
  skills: [
    {
      name: "count_words",
      description: "Counts the words of a text and finds the longest.",
      input_schema: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
      output_schema: {
        type: "object",
        properties: { words: { type: "integer" }, longest: { type: "string" } },
        required: ["words", "longest"],
      },
    },
    {
      name: "countdown",
      description: "Counts seconds and reports how far it is.",
      input_schema: { type: "object", properties: { seconds: { type: "number" } }, required: ["seconds"] },
      output_schema: { type: "number" },
    },
  ],
  confidence_domains: ["text"],
};

class Failed extends Error {
  code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const seed = process.env.CEREBRO_NATS_NKEY;
const nc: NatsConnection = await connect({
  servers: (process.env.CEREBRO_NATS_URL ?? "nats://127.0.0.1:4222").split(","),
  name: NAME,
  inboxPrefix: `_INBOX.${NAME}`, // the only one where it may listen, on a mesh that asks for credentials
  authenticator: seed ? nkeyAuthenticator(new TextEncoder().encode(readFileSync(seed, "utf8").trim())) : undefined,
  maxReconnectAttempts: -1,
  reconnectTimeWait: 1_000,
  waitOnFirstConnect: true,
});

let stopping = false;
let valence = 0;
let wake = () => {}; // looks for lessons at once
const learned = new Set<string>();

// On the log, once: the same id is published again until the server says that it is on disk.
async function put(subject: string, body: Body, id: string = randomUUID()): Promise<void> {
  while (!stopping) {
    try {
      const head = headers();
      head.set("Nats-Msg-Id", id);
      const ack = await nc.request(subject, JSON.stringify(body), { timeout: 2_000, headers: head });
      if (!ack.json<Body>().error) return;
    } catch {
      // the server is away, or did not answer: it may have happened, so the id stays
    }
    await sleep(500);
  }
}

// An answer of the mesh; null where it refused. While it is away, the question is asked again.
async function ask(subject: string, body: Body): Promise<any> {
  while (!stopping) {
    try {
      const reply = await nc.request(subject, JSON.stringify(body), { timeout: 5_000 });
      return reply.headers?.has("Nats-Service-Error-Code") ? null : reply.json();
    } catch {
      await sleep(500);
    }
  }
  return null;
}

function hear(subject: string, heard: (msg: Msg) => Promise<void>) {
  return nc.subscribe(subject, { callback: (error, msg) => void (error ? console.error(error) : heard(msg).catch(console.error)) });
}

async function beat(): Promise<void> {
  while (!stopping) {
    nc.publish(PRESENCE, JSON.stringify(PROFILE));
    await sleep(BEAT_MS);
  }
}

// Lessons: what is missing is asked for; the log's copy of a lesson says when.
async function learn(): Promise<void> {
  while (!stopping) {
    const page = await ask("ask.lessons", { missing_from: NAME, limit: 200 });
    const fresh = (page?.lessons ?? []).reverse().filter((lesson: Body) => !learned.has(lesson.lesson_id));
    for (const lesson of fresh) {
      learned.add(lesson.lesson_id);
      await put(`mesh.learning.${NAME}.integrated`, { lesson_id: lesson.lesson_id }, `${NAME}-${lesson.lesson_id}`);
    }
    if (fresh.length === 0) {
      await Promise.race([sleep(2_000), new Promise<void>((resolve) => (wake = resolve))]);
      await sleep(200); // the mesh reads the same log, and may be a moment behind
    }
  }
}

async function vote(id: string, proposal: Body): Promise<void> {
  if (!proposal.electorate.includes(NAME)) return;
  const risk = proposal.attributes?.risk;
  const approval = proposal.options.find((option: string) => option !== "reject");
  const rejected = risk > RISK_MAX && proposal.options.includes("reject");
  const choice = risk == null ? "abstain" : rejected ? "reject" : approval;
  await put(`mesh.consensus.${id}.vote.${NAME}`, { choice, rationale: `its risk is ${risk}` }, `${NAME}-${id}`);
}

async function voteOnOpenOnes(): Promise<void> {
  const page = await ask("ask.proposals", { status: "open", limit: 200 });
  for (const proposal of page?.proposals ?? []) {
    if (!proposal.votes.some((given: Body) => given.agent === NAME)) await vote(proposal.proposal_id, proposal);
  }
}

async function feel(cause: string): Promise<void> {
  await put(`mesh.emotion.${NAME}`, { valence, arousal: 0, dominance: 0, cause });
}

async function appraise(stimulus: Body): Promise<void> {
  const by = (stimulus.intensity ?? 0.5) / 2;
  if (stimulus.event) valence = Math.max(-1, Math.min(1, valence + (PLEASANT.has(stimulus.event) ? by : -by)));
  await feel(stimulus.cause);
}

async function work(): Promise<void> {
  while (!stopping) {
    try {
      const request = JSON.stringify({ batch: 1, expires: FETCH_MS * 1_000_000 });
      // noMux: what a consumer hands out bears the assignment's own subject, and is known by its subscription alone
      const msg = await nc.request(NEXT, request, { timeout: FETCH_MS + 1_000, noMux: true });
      if (msg.headers?.code) continue; // nothing to do, or the consumer has moved: ask again
      one(msg).catch(console.error);
    } catch {
      await sleep(500); // the server is away, or the mesh has not made the consumer yet
    }
  }
}

// One assignment: performed under its fence, unless the task has ended or is somebody else's.
async function one(msg: Msg): Promise<void> {
  const assignment = msg.json<Body>();
  const task = assignment.task.task_id;
  const fence = assignment.fence;
  const over = new AbortController();
  const listening = hear(`log.mesh.task.${task}.>`, async (about) => {
    const kind = about.subject.split(".")[4];
    if (kind === "finished" || kind === "cancel" || (kind === "assigned" && about.json<Body>().fence > fence)) over.abort();
  });
  await nc.flush();
  const view = await ask("ask.task", { id: task });
  if (!view || view.finished_at || view.fence > fence || (view.fence === fence && view.assigned_to !== NAME)) over.abort();
  const alive = setInterval(() => {
    put(`mesh.task.${task}.progress.${NAME}`, { fence, instance: INSTANCE }).catch(console.error); // extends the lease
    nc.publish(msg.reply!, "+WPI"); // the server is told that the assignment is still worked on
  }, (assignment.lease_s * 1_000) / 4);
  try {
    const outcome = await perform(assignment, over.signal);
    if (!over.signal.aborted && !stopping) {
      await put(`mesh.task.${task}.${outcome.kind}.${NAME}`, { fence, ...outcome.body }, `${NAME}-${task}-${fence}`);
    }
    if (!stopping) nc.publish(msg.reply!, "+ACK");
  } finally {
    clearInterval(alive);
    listening.unsubscribe();
  }
}

async function perform(assignment: Body, over: AbortSignal): Promise<Outcome> {
  try {
    over.throwIfAborted();
    const { input, required_skills } = assignment.task;
    const required = new Set<string>(required_skills);
    if (required.size < 2) return { kind: "result", body: { output: await runSkill(assignment.skill, input, over) } };
    const output: Body = {};
    for (const skill of required) output[skill] = await runSkill(skill, inputOf(assignment.task, skill), over); // each in turn
    return { kind: "result", body: { output } };
  } catch (error) {
    const code = error instanceof Failed ? error.code : "skill_error";
    const message = error instanceof Error ? error.message : String(error);
    return { kind: "failed", body: { error: { code, message, retryable: !(error instanceof Failed) } } };
  }
}

// The input of one of several skills: what stands under its name, and all that stands under no skill's name.
function inputOf(task: Body, skill: string): Body {
  const shared = Object.entries(task.input).filter(([name]) => !task.required_skills.includes(name));
  return { ...Object.fromEntries(shared), ...task.input[skill] };
}

async function runSkill(skill: string | null, given: Body, over: AbortSignal): Promise<unknown> {
  if (skill === "count_words") return countWords(given);
  if (skill === "countdown") return countdown(given, over);
  throw new Failed("no_such_skill", `${NAME} has no skill for this task`);
}

function countWords(given: Body): Body {
  if (typeof given.text !== "string") throw new Failed("bad_input", "a text is needed - at `$.text`");
  const words = given.text.split(/\s+/).filter(Boolean);
  if (words.length === 0) throw new Failed("nothing_to_count", "the text has no words");
  return { words: words.length, longest: words.reduce((a: string, b: string) => (b.length > a.length ? b : a)) };
}

async function countdown(given: Body, over: AbortSignal): Promise<number> {
  if (typeof given.seconds !== "number") throw new Failed("bad_input", "a number is needed - at `$.seconds`");
  await sleep(given.seconds * 1_000, undefined, { signal: over });
  return given.seconds;
}

async function watchConnection(): Promise<void> {
  for await (const status of nc.status()) {
    if (status.type === "reconnect") {
      wake(); // what was said meanwhile was not heard
      await voteOnOpenOnes();
    }
  }
}

async function leave(): Promise<void> {
  stopping = true;
  const head = headers();
  head.set("KV-Operation", "DEL");
  nc.publish(PRESENCE, "", { headers: head });
  await nc.flush();
  process.exit(0);
}

process.on("SIGTERM", () => void leave());
process.on("SIGINT", () => void leave());
hear("log.mesh.learning.*", async () => wake());
hear("log.mesh.consensus.*.opened", async (msg) => vote(msg.subject.split(".")[3], msg.json<Body>()));
hear(`log.mesh.emotion.${NAME}.stimulus`, async (msg) => appraise(msg.json<Body>()));
await nc.flush();
await Promise.all([beat(), learn(), work(), feel("awake"), voteOnOpenOnes(), watchConnection()]);
