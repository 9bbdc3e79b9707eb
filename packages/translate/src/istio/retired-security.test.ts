import { expect, test } from "vitest";
import { translatedAndTold as translated } from "../../test/translated-and-told.ts";

test.each([
  ["rbac.istio.io/v1alpha1", "ClusterRbacConfig", "AuthorizationPolicy"],
  ["rbac.istio.io/v1alpha1", "ServiceRole", "AuthorizationPolicy"],
  ["rbac.istio.io/v1alpha1", "ServiceRoleBinding", "AuthorizationPolicy"],
  ["authentication.istio.io/v1alpha1", "Policy", "PeerAuthentication"],
  ["authentication.istio.io/v1alpha1", "MeshPolicy", "PeerAuthentication"],
])("a document of %s %s is refused, and says what to write instead", (apiVersion, kind, instead) => {
  const { policies, refused, told } = translated(
    `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: { name: a }\nspec: { rules: [] }`,
  );
  expect([policies, refused]).toEqual([[], ["spec"]]);
  expect(told[0]).toContain(instead);
});
