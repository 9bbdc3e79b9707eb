// Tests of balancers, the mesh's own and those of applications: no sockets, no clock, and any test runner.
export { type ContractCase, customBalancerContract, pickerContract } from "./picker-contract.ts";
export { balanced, balancedSet, sendInTurn } from "./picker-kit.ts";
