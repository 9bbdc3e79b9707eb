/** Why an attempt was given up although its call goes on: another attempt has answered. Says nothing of its endpoint. */
export class AttemptSuperseded extends Error {
  override readonly name = "AttemptSuperseded";

  constructor(winner: number) {
    super(`attempt ${winner} of the call answered first`);
  }
}
