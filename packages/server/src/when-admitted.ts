/** Goes on with a visit that was admitted: at once where it was at once, so that nothing is put off without need. */
export const whenAdmitted = <V>(admitted: V | undefined | Promise<V | undefined>, serve: (visit: V) => void): void => {
  if (!(admitted instanceof Promise)) {
    if (admitted !== undefined) serve(admitted);
    return;
  }
  // What a handler throws is not caught: it is as uncaught as in an event's listener.
  void admitted.then((visit) => {
    if (visit !== undefined) serve(visit);
  });
};
