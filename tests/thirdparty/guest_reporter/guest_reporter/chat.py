"""The summary and the claims as a message of blocks, the format of chat services."""

import json

ICONS = {"holds": ":white_check_mark:", "fails": ":x:", "undecided": ":grey_question:"}


def write(report, folder):
    """Write chat.json into the run's folder."""
    path = folder / "chat.json"
    path.write_text(json.dumps(message(report), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [path]


def message(report):
    """The question, the summary, a line for each claim, and the run and its machine."""
    lines = [
        " ".join(report.summary),
        *(f"{ICONS[one.answer]} {one.says} ({one.details})" for one in report.claims),
    ]
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": report.question[:150]}},
        *({"type": "section", "text": {"type": "mrkdwn", "text": shown(line)}} for line in lines if line),
        {"type": "context", "elements": [{"type": "mrkdwn", "text": shown(f"{report.run} on {report.machine}")}]},
    ]
    return {"text": shown(report.question), "blocks": blocks}


def shown(text):
    """Text without links or mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")[:3000]
