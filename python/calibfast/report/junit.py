"""Checks as JUnit XML, which continuous integration shows as tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, indent, tostring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibfast.report.checks import Check

_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""See https://www.w3.org/TR/xml/#charsets."""


def junit(checks: Sequence[Check], name: str) -> str:
    """A test case for each check.

    Args:
        checks: The checks.
        name: What was measured, say the file; the class of checks that are of no task or group.
    """
    failed = sum(check.failed for check in checks)
    skipped = sum(bool(check.undecided) for check in checks)
    counts = {"tests": str(len(checks)), "failures": str(failed), "errors": "0", "skipped": str(skipped)}
    root = Element("testsuites", counts)
    suite = SubElement(root, "testsuite", {"name": f"calibfast {_plain(name)}", **counts})
    for check in checks:
        title = f"{check.metric} at most {check.threshold:g}"
        case = SubElement(suite, "testcase", {"classname": _plain(check.row or name), "name": title})
        if check.failed:
            SubElement(case, "failure", {"message": _plain(str(check)), "type": "calibration"})
        elif check.undecided:
            SubElement(case, "skipped", {"message": _plain(str(check))})
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _plain(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
