"""The answer and the claims as a message in blocks, the form that chat services take."""

import json

MARKS = {"holds": ":white_check_mark:", "fails": ":x:", "undecided": ":grey_question:"}


def write(report, folder):
    """Write chat.json into the run's folder."""
    path = folder / "chat.json"
    path.write_text(json.dumps(message(report), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [path]


def message(report):
    """A heading, the answer, a line a claim, and where it was measured."""
    lines = [
        " ".join(report.summary),
        *(f"{MARKS[answer]} {says} ({reason})" for says, answer, reason in report.claims),
    ]
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": report.question[:150]}},
        *({"type": "section", "text": {"type": "mrkdwn", "text": shown(line)}} for line in lines if line),
        {"type": "context", "elements": [{"type": "mrkdwn", "text": shown(f"{report.run} on {report.machine}")}]},
    ]
    return {"text": shown(report.question), "blocks": blocks}


def shown(text):
    """Text in which nothing is a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")[:3000]
