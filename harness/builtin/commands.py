"""The commands of the core and of its tools. The modules that they name are imported when a command runs."""

#: The commands by group: name, code and summary. The summary is the first sentence of the command's own help, which
#: ``harness --help`` does not import.
COMMANDS = {
    "run": (
        ("run", "cli.run:run", "Measure a suite, or every suite in a folder, and answer its question."),
        ("ab", "cli.ab:ab", "Compare two or more functions or commands: which is faster, and by how much?"),
        ("vary", "cli.vary:vary", "Compare a training script with changes of it: each alone, and all together."),
        ("plan", "cli.plan:plan",
         "Show what a suite would measure, what it would skip and why, and how long it would take."),
    ),
    "look": (
        ("report", "cli.report:report", "Rebuild the report of a run and print its answer, or one format of it."),
        ("explain", "cli.explain:explain", "Explain why one level takes longer than another, by phase and operator."),
        ("compare", "tools.comparison.compare_command:compare",
         "Compare run B with an older run A: report what got slower, worse or larger, and whether the runs are "
         "comparable."),
        ("history", "tools.comparison.history_command:history",
         "Show a suite's ratios over all its runs, and where they changed."),
        ("series", "cli.series:series", "Show a series of tries: what each was allowed, what it showed, what is left."),
        ("list", "cli.list:list_", "List the parts that plugins provide."),
        ("describe", "cli.describe:describe", "Describe a part: its parameters, requirements, source and an example."),
    ),
    "share": (
        ("plot", "cli.plot:plot", "Draw the plots of a run as image files."),
        ("export", "tools.export.command:export", "Export a trial as a standalone script or as the text of an issue."),
    ),
    "extend": (
        ("new", "tools.scaffold.command:new", "Create a plugin package or a suite to start from."),
        ("schema", "cli.schema:schema", "Print the JSON Schema of suites, for completion and checks in editors."),
        ("completion", "cli.completion:completion", "Print the script that turns on completion in bash, zsh or fish."),
    ),
    "check": (
        ("check", "cli.check:check", "Check a suite without measuring anything."),
        ("conform", "cli.conform:conform", "Test a part, or all parts of a plugin, against the promises of its kind."),
        ("selftest", "tools.selftest.selftest_command:selftest", "Check that verdicts meet their stated error rate."),
        ("doctor", "tools.selftest.doctor_command:doctor",
         "Check whether this machine is suitable for benchmarking, and suggest fixes."),
    ),
}  # fmt: skip
