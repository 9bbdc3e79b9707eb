/** The longest delay of a Node.js timer, 2^31 - 1 ms; beyond it `setTimeout` fires at once. */
export const MAX_TIMER_MS = 2_147_483_647;
