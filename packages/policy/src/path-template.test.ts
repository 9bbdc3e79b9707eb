import { expect, test } from "vitest";
import { fitsTemplate, parsePathTemplate, templateValues, wrongTemplate } from "./path-template.ts";

const fits = (template: string, path: string): boolean => {
  const parts = parsePathTemplate(template);
  if ("wrong" in parts) throw new Error(parts.wrong);
  return fitsTemplate(parts, path);
};

test.each<[string, string, Record<string, string> | undefined]>([
  ["/reviews/{id}", "/reviews/7", { id: "7" }],
  ["/reviews/{id}", "/reviews/", undefined],
  ["/reviews/{id}", "/reviews/7/", undefined],
  ["/reviews/{id}", "/reviews/7/8", undefined],
  ["/reviews/{id}", "/reviews/a%2Fb", { id: "a%2Fb" }],
  ["/reviews/{id=*}/stars", "/reviews/7/stars", { id: "7" }],
  ["/reviews/*/stars", "/reviews/7/stars", {}],
  ["/reviews/{*}/stars", "/reviews/7/8/stars", undefined],
  ["/files/{path=**}", "/files/a/b", { path: "a/b" }],
  ["/files/{path=**}", "/files/", { path: "" }],
  ["/files/{path=**}", "/files", undefined],
  ["/files/**", "/files/a", {}],
  ["/{**}", "/", {}],
  ["/videos/{file}.m4s", "/videos/a.b.m4s", { file: "a.b" }],
  ["/videos/{file}.m4s", "/videos/.m4s", undefined],
  ["/videos/seg-{n}.m4s", "/videos/seg-1.m4s", { n: "1" }],
  ["/videos/{path=**}.mpd", "/videos/a/b.mpd", { path: "a/b" }],
  ["/videos/{path=**}.mpd", "/videos/a/b.mp4", undefined],
  ["/a", "/a", {}],
  ["/a/", "/a", undefined],
  ["/{a}/{b}", "/x/y", { a: "x", b: "y" }],
])("template %s on %s gives %j", (template, path, values) => {
  expect(fits(template, path)).toBe(values !== undefined);
  expect(templateValues(template, path)).toEqual(values);
});

test("values keep their case where the text is compared without case", () => {
  expect(templateValues("/Reviews/{Id}", "/reviews/ABC", true)).toEqual({ Id: "ABC" });
  expect(templateValues("/Reviews/{Id}", "/reviews/ABC")).toBeUndefined();
});

test.each([
  ["reviews/{id}", /begin it with/],
  ["/{id}/{id}", /name of two variables/],
  ["/{id}{other}", /two operators/],
  ["/***", /two operators/],
  ["/{path=**}/x", /come last/],
  ["/{}", /is no operator/],
  ["/{1a}", /is no operator/],
  ["/{id=a/*}", /brace or a star/],
  ["/{id", /brace or a star/],
  ["/a?b={c}", /leave out the query/],
  ["/café", /percent-encoded/],
  [`/${"a".repeat(1_024)}`, /longer than/],
])("%s is no template", (template, reason) => {
  expect(wrongTemplate(template)).toMatch(reason);
});
