/** Something the user can do something about. The message is all they see: what, where, what to do. */
export class Problem extends Error {}
