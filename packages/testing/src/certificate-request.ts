import "reflect-metadata";
import { webcrypto as crypto } from "node:crypto";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** A good PKCS#10 request, PEM, for a new P-256 key that is forgotten, naming nobody: for who scripts a member by hand. */
export const makeCertificateRequest = async (): Promise<string> => {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const request = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: algorithm }, crypto);
  return request.toString("pem");
};
