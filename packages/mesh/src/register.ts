/**
 * `node --import tulle/register app.js`: joins the mesh from the `TULLE_*` variables and sends every built-in `fetch` of the
 * process through it, without a line of code.
 */
import { joinMesh } from "./join-mesh.ts";

const mesh = await joinMesh();
mesh.install();
