import { MemoryStore } from "./memory-store.ts";
import { stateStoreContract } from "./state-store.contract.ts";

stateStoreContract("memory", (clock) => new MemoryStore(clock));
