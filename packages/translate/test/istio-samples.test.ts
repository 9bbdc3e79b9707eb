import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { checkPolicies } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import { readDocuments } from "../src/read-documents.ts";
import { translate } from "../src/translate.ts";

// Istio's own samples, each as it is, and bookinfo's as one.

const samples = corpus("istio/samples");

const filesIn = (folder: string): readonly string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((each) => each.isFile() && each.name.endsWith(".yaml"))
    .map((each) => join(each.parentPath, each.name))
    .sort();

const root = samples.beside("samples");
const read = (file: string) => readDocuments(readFileSync(join(root, file), "utf8"), file, "default");

/** What is told of each file that has anything to tell; all others say nothing but policies. */
const told: Readonly<Record<string, readonly string[]>> = {
  "bookinfo/platform/kube/bookinfo.yaml": ["details", "ratings", "reviews", "productpage"].map(
    (name) => `ignored ServiceAccount/default/bookinfo-${name}`,
  ),
  "external/github.yaml": ["no-meaning ServiceEntry/default/github-tcp spec.ports"],
  "helloworld/helloworld-gateway.yaml": [
    "no-meaning VirtualService/default/helloworld spec.gateways",
    "no-meaning Gateway/default/helloworld-gateway spec.servers",
  ],
  "httpbin/httpbin-gateway.yaml": [
    "no-meaning VirtualService/default/httpbin spec.gateways",
    "no-meaning Gateway/default/httpbin-gateway spec.servers",
  ],
};

describe.skipIf(samples.missing)(`Istio's samples${samples.note}`, () => {
  const files = samples.missing ? [] : filesIn(root).map((file) => relative(root, file));

  test.each(files)("%s", (file) => {
    const { documents, problems } = read(file);
    expect(problems).toEqual([]);
    const { findings } = translate(documents);
    const said = findings.map(({ level, document, path }) => `${level} ${document} ${path}`.trim());
    expect(said).toEqual(told[file] ?? []);
  });

  const whole = (folder: string) =>
    translate(files.filter((file) => file.startsWith(folder)).flatMap((file) => read(file).documents));

  test("the folder of bookinfo's networking is policies that fit together, without any other document", () => {
    const { policies, findings } = whole("bookinfo/networking/");
    expect(checkPolicies(policies)).toEqual([]);
    expect(findings.filter(({ level }) => level === "refused")).toEqual([]);
    const services = policies.flatMap((policy) => (policy.kind === "Service" ? [[policy.name, policy.subsets]] : []));
    expect(Object.fromEntries(services)).toMatchObject({
      productpage: { v1: { version: "v1" } },
      reviews: { v1: { version: "v1" }, v2: { version: "v2" }, v3: { version: "v3" } },
      ratings: { v1: { version: "v1" }, v2: { version: "v2" } },
      details: { v1: { version: "v1" } },
    });
  });

  test("the subset that a later DestinationRule of the folder takes away is answered with 503, as Envoy does, and told", () => {
    const { policies, findings } = whole("bookinfo/networking/");
    expect(policies.find(({ kind, name }) => kind === "Route" && name === "details")).toMatchObject({
      rules: [{ directResponse: { status: 503 } }],
    });
    expect(findings.map(({ message }) => message)).toContain(
      'no DestinationRule tells of a subset "v2" of "details": its share is answered with 503',
    );
  });

  test("bookinfo's workloads, DestinationRules and routes are policies that fit together: the ports of its Services, the subsets of its DestinationRules", () => {
    const { policies } = translate(
      ["platform/kube/bookinfo", "networking/destination-rule-all", "networking/virtual-service-all-v1"].flatMap(
        (file) => read(`bookinfo/${file}.yaml`).documents,
      ),
    );
    expect(checkPolicies(policies)).toEqual([]);
    expect(policies.find(({ kind, name }) => kind === "Service" && name === "reviews")).toMatchObject({
      port: 9080,
      selector: { app: "reviews" },
      serviceAccounts: ["bookinfo-reviews"],
      subsets: { v3: { version: "v3" } },
    });
  });
});
