"""A comparison of functions as one Python file that needs no harness, or as the text of an issue that contains it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from harness.errors import UserError
from harness.plugins.code_files import parse_reference, source_of
from harness.records.plan import Block, Trial
from harness.report.answers import answers_of
from harness.report.report import Report

#: The seconds that the script may take when it is checked.
LIMIT = 60
MAIN = '''

def load(file):
    """The module of a file, from its source above."""
    module = types.ModuleType(file.removesuffix(".py").replace("/", "."))
    sys.modules[module.__name__] = module
    exec(compile(SOURCES[file], file, "exec"), vars(module))
    return module


def arguments_of(value):
    """Positional and keyword arguments: a tuple, a dictionary, or the only argument."""
    if isinstance(value, tuple):
        return value, {{}}
    return ((), value) if isinstance(value, dict) else ((value,), {{}})


def seconds_of(function, positional, keyword):
    """The median time of a call. It has no interval: use harness ab for a verdict."""
    timer = timeit.Timer(lambda: function(*positional, **keyword))
    calls = max(1, timer.autorange()[0] // 10)
    return statistics.median(time / calls for time in timer.repeat(7, calls))


MODULES = {{file: load(file) for file in SOURCES}}
old = MODULES[{old_file!r}].{old_name}
new = MODULES[{new_file!r}].{new_name}
inputs = {inputs}

for number, value in enumerate(inputs):
    positional, keyword = arguments_of(value)
    print(f"input {{number}}")
    for name, function in (("old", old), ("new", new)):
        print(f"{{name}} returns {{function(*positional, **keyword)!r:.200}}")
    times = [seconds_of(function, positional, keyword) for function in (old, new)]
    print(f"{{1e6 * times[0]:.3g}} us and {{1e6 * times[1]:.3g}} us, ratio {{times[1] / times[0]:.3f}}")
'''


def function_script(block: Block, trial: Trial, title: str) -> str:
    """The script that calls a function and its baseline with the same inputs. It contains their files as they are."""
    old, new, make = block.baseline.model.parameters, trial.model.parameters, block.baseline.dataset.parameters["code"]
    sources, names = dict[str, str](), list[tuple[str, str]]()
    wanted = [(old["code"], old["commit"]), (new["code"], new["commit"]), *([(make, "")] if make else [])]
    for code, commit in wanted:
        reference = parse_reference(code)
        file = f"{commit[:8]}/{Path(reference.module).name}" if commit else reference.module
        sources.setdefault(file, source_of(code, commit))
        names.append((file, reference.name))
    inputs = f"MODULES[{names[2][0]!r}].{names[2][1]}()" if make else "[()]"
    main = MAIN.format(
        old_file=names[0][0], old_name=names[0][1], new_file=names[1][0], new_name=names[1][1],
        inputs=f"list({inputs})" if make else inputs,
    )  # fmt: skip
    texts = "".join(f"    {file!r}: {quoted(text)},\n" for file, text in sources.items())
    imports = "import statistics\nimport sys\nimport timeit\nimport types\n"
    return f'"""{title}"""\n\n{imports}\nSOURCES = {{\n{texts}}}\n{main}'


def quoted(text: str) -> str:
    """A text as a Python literal that reads like the text, where that is possible."""
    if "'''" in text or "\\" in text or text.endswith("'"):
        return repr(text)
    return f"'''\\\n{text}'''"


def check_script(text: str) -> None:
    """Run the script. Raises UserError with the last line of its errors if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.py"
        file.write_text(text, encoding="utf-8")
        try:
            done = subprocess.run(
                [sys.executable, str(file)], cwd=folder, capture_output=True, text=True, timeout=LIMIT
            )
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason"]
        except subprocess.TimeoutExpired:
            raise UserError(
                f"the script takes longer than {LIMIT} s.", fix="Add --no-check to export it anyway."
            ) from None
    if done.returncode:
        fix = "It contains only the files of the functions. Add --no-check to export it anyway."
        raise UserError(f"the script fails: {reason[0]}.", fix=fix)


def function_issue(script: str, report: Report | None) -> str:
    """The text of an issue: the answers, the machine, and the script."""
    answers = [f"- {line}" for line in answers_of(report)] if report else []
    machine = ["", f"Measured on {report.machine}.", ""] if report else []
    return "\n".join([*answers, *machine, "```python", script.rstrip(), "```", ""])
