// Signs in to an MCP server that has answered 401, lists its tools and calls `whoami`.
//
//     node sign_in.ts URL legacy|auto
//
// Prints one JSON document, the answer or the error and the requests; never a token.
import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";

const [url, mode] = process.argv.slice(2);
const callback = "http://127.0.0.1:1/callback"; // never called: the redirect's target is read
const state = crypto.randomUUID();
const trace: string[] = [];
const kept: Record<string, any> = {};

// Everything goes through here, the sign-in too; so the trace is whole.
async function noted(input: string | URL, init?: RequestInit): Promise<Response> {
  const answer = await fetch(input, init);
  trace.push(`${init?.method ?? "GET"} ${new URL(input).pathname} ${answer.status}`);
  return answer;
}

const signIn: OAuthClientProvider = {
  redirectUrl: callback,
  clientMetadata: { client_name: "clients", redirect_uris: [callback] },
  state: () => state,
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
  saveDiscoveryState: (discovered) => void (kept.discovered = discovered),
  discoveryState: () => kept.discovered,
  redirectToAuthorization: (to) => void (kept.consent = to),
};

function transport(): StreamableHTTPClientTransport {
  return new StreamableHTTPClientTransport(new URL(url), { authProvider: signIn, fetch: noted });
}

function client(): Client {
  const options = { versionNegotiation: { mode: mode as "legacy" | "auto" } };
  return new Client({ name: "clients", version: "1" }, options);
}

async function whoami(): Promise<string> {
  const first = transport();
  try {
    await client().connect(first);
    return "no sign-in was asked for";
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || !kept.consent) throw error;
  }
  // The user's browser: there and back.
  const consent = await fetch(kept.consent, { redirect: "manual" });
  const back = new URL(consent.headers.get("location") ?? "").searchParams;
  if (back.get("state") !== state) throw new Error("the state came back changed");
  await first.finishAuth(back); // checks `iss`, then redeems the code
  const signedIn = client();
  await signedIn.connect(transport());
  const { tools } = await signedIn.listTools();
  if (!tools.some((tool) => tool.name === "whoami")) throw new Error("whoami is not listed");
  const answer = await signedIn.callTool({ name: "whoami", arguments: {} });
  await signedIn.close();
  const [content] = answer.content;
  return content.type === "text" ? content.text : content.type;
}

const answer = await whoami().catch((error: Error) => `${error.name}: ${error.message}`);
console.log(JSON.stringify({ answer, trace }));
process.exit(0); // a refused session may have left a stream open
