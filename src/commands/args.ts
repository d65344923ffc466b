/** Reader over the arguments of one command. */
export class Args {
  argv: readonly Buffer[] = [];
}
