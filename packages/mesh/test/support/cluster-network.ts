import { connect as connectTcp } from "node:net";
import { Agent, type Dispatcher } from "undici";

/** Where a service can be reached without the mesh: its name leads to one of its instances, as in a cluster. */
export interface ClusterNetwork {
  /** From now on new connections to the name go to these instances, in turn. */
  route(name: string, instances: readonly { readonly host: string; readonly port: number }[]): void;
  /** How an application without the mesh calls, from an address of its own. */
  dispatcherFrom(address: string): Dispatcher;
  close(): Promise<void>;
}

/** Makes a network of loopback addresses. */
export const clusterNetwork = (): ClusterNetwork => {
  const routes = new Map<string, readonly { readonly host: string; readonly port: number }[]>();
  const agents: Agent[] = [];
  let turn = 0;
  return {
    route: (name, instances) => void routes.set(name, instances),
    dispatcherFrom: (localAddress) => {
      const agent = new Agent({
        connect: ({ hostname }, callback) => {
          const instances = routes.get(hostname) ?? [];
          const instance = instances[turn++ % instances.length];
          if (instance === undefined) {
            callback(new Error(`nobody answers for ${hostname}`), null);
            return;
          }
          const socket = connectTcp({ ...instance, localAddress, noDelay: true });
          const failed = (error: Error): void => callback(error, null);
          socket.once("error", failed);
          socket.once("connect", () => {
            socket.off("error", failed);
            callback(null, socket);
          });
        },
      });
      agents.push(agent);
      return agent;
    },
    close: async () => void (await Promise.all(agents.map((agent) => agent.destroy()))),
  };
};
