"""Commands that a run does not need, a package each: `comparison`, `export`, `scaffold`, `selftest`.

In: the arguments of a command, stored runs or parts. Out: printed text, files and an exit code. Only plugins name this
package, through the hook `register_commands`; no other package may import it.
"""
