"""Reads C++ just well enough for tidy.py: functions with their lengths, and full expressions.

Not a parser. Comments, literals and preprocessor lines are blanked first (line numbers survive),
then braces and parentheses are followed. It errs on the side of seeing too little.
"""

import re
from dataclasses import dataclass

_LITERAL = re.compile(
    r'R"(?P<tag>[^()\s\\]{0,16})\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])*'"
    r"|//[^\n]*"
    r"|/\*.*?\*/", re.DOTALL)
_TYPE = re.compile(r"\b(class|struct|union|enum)\b[^()]*$")
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


def blank(text):
    """The text with comments, literals and directives replaced by spaces of the same shape."""
    def spaces(match):
        kept = re.sub(r"[^\n]", " ", match.group())
        # A literal stays an operand: `f("x")` must not look like `f()`.
        return '"' + kept[1:-1] + '"' if match.group()[0] in "\"'R" and "\n" not in kept else kept
    return _DIRECTIVE.sub(spaces, _LITERAL.sub(spaces, text))


def closing(text, start):
    """The index just behind the bracket that closes the one at `start` (or the end)."""
    pairs = {"(": ")", "[": "]", "{": "}"}
    stack = []
    for index in range(start, len(text)):
        char = text[index]
        if char in pairs:
            stack.append(pairs[char])
        elif char in ")]}":
            if stack and stack[-1] == char:
                stack.pop()
            if not stack:
                return index + 1
    return len(text)


@dataclass
class Function:
    name: str
    line: int  # of the first line of the signature
    lines: int  # from there to the closing brace
    parameters: int
    body: tuple  # (start, end) in the blanked text


def _parameter_count(head):
    """Commas between the parentheses of the parameter list, angle brackets respected."""
    opening = head.find("(")
    if opening < 0:
        return 0
    if head.startswith("operator", 0, opening) and head[opening:opening + 2] == "()":
        opening = head.find("(", opening + 2)
    inner = head[opening + 1:closing(head, opening) - 1]
    if not inner.strip() or inner.strip() == "void":
        return 0
    depth, count = 0, 1
    for char in inner:
        depth += char in "(<[{"
        depth -= char in ")>]}"
        count += char == "," and depth == 0
    return count


def _name(head, raw):
    """What stands before the parameter list; for a test macro the sentence in it."""
    before = head[:head.find("(")].split()
    name = before[-1] if before else "?"
    if name.isupper() or name.startswith("TEST_CASE"):
        sentence = re.search(r'"((?:\\.|[^"\\])*)"', raw)
        return sentence.group(1) if sentence else name
    return name.lstrip("*&")


def _kind(head):
    """What a brace behind `head` opens: "scope" (namespace, type), "function" or "value"."""
    if not head or re.search(r"\bnamespace\b|^extern\b[^()]*$", head):
        return "scope"
    bare = re.sub(r"\btemplate\s*<.*?>\s*(?=\w)", "", head, flags=re.DOTALL)
    bare = re.sub(r"\b(alignas|__attribute__)\s*\([^)]*\)+|\[\[.*?\]\]", "", bare)
    if _TYPE.search(bare):
        return "scope"
    signature = re.sub(r"\boperator\s*\S+?\s*(?=\()", "operator", bare)
    if "(" not in signature or re.search(r"(?<![=!<>])=(?!=)", signature.split("(", 1)[0]):
        return "value"
    tail = signature[closing(signature, signature.find("(")):]
    # In a constructor's list a brace right behind a member's name initialises that member.
    if re.match(r"\s*(noexcept\s*)?:(?!:)", tail) and re.search(r"[\w>]\s*$", tail):
        return "value"
    return "function"


def functions(text):
    """Every function of the file that has a body (lambdas and local types count to theirs)."""
    clean = blank(text)
    found = []
    start = index = 0
    while index < len(clean):
        char = clean[index]
        if char in "([":
            index = closing(clean, index)
            continue
        if char in ";}":
            start = index + 1
        elif char == ":" and re.search(r"\b(public|private|protected)\s*$", clean[start:index]):
            start = index + 1
        elif char == "{":
            head = clean[start:index].strip()
            kind = _kind(head)
            if kind == "value":
                index = closing(clean, index)
                continue
            if kind == "function":
                end = closing(clean, index)
                first = start + len(clean[start:index]) - len(clean[start:index].lstrip())
                found.append(Function(
                    _name(head, text[first:index]), clean.count("\n", 0, first) + 1,
                    clean.count("\n", first, end) + 1, _parameter_count(head), (index, end)))
                index = start = end
                continue
            start = index + 1
        index += 1
    return found


@dataclass
class Expression:
    line: int
    text: str  # bodies of lambdas left out
    captures: list  # capture lists of the lambdas written in it


def _is_lambda(clean, index):
    """Whether the square bracket at `index` opens a lambda rather than a subscript."""
    before = clean[:index].rstrip()
    if clean.startswith("[[", index) or before.endswith("["):
        return False
    word = re.search(r"(\w+|[)\]\"])$", before)
    return not word or word.group() in ("return", "co_return", "co_await", "co_yield", "case")


def _lambda_body(clean, index):
    """The index of the brace that opens the body of the lambda whose `[` is at `index`, or -1."""
    behind = closing(clean, index)
    match = re.compile(r"\s*").match(clean, behind)
    if clean[match.end():match.end() + 1] == "(":
        behind = closing(clean, match.end())
    body = re.compile(r"[^{};()]*\{").match(clean, behind)
    return body.end() - 1 if body else -1


def expressions(clean, start, end):
    """Splits the block between the braces at `start` and `end` into full expressions."""
    out = []
    pieces, captures, depth = [], [], 0
    index = first = start + 1

    def flush(at):
        nonlocal pieces, captures, first
        text = "".join(pieces)
        if text.strip():
            begin = first + len(text) - len(text.lstrip())
            out.append(Expression(clean.count("\n", 0, begin) + 1, text.strip(), captures))
        pieces, captures, first = [], [], at

    while index < end - 1:
        char = clean[index]
        if char == "[" and _is_lambda(clean, index):
            body = _lambda_body(clean, index)
            if body >= 0:
                captures.append(clean[index + 1:closing(clean, index) - 1].strip())
                out.extend(expressions(clean, body, closing(clean, body)))
                index = closing(clean, body)
                pieces.append(" ")
                continue
        depth += char in "(["
        depth -= char in ")]"
        if char == "{" and depth == 0 and _opens_block("".join(pieces)):
            flush(index + 1)
            block_end = closing(clean, index)
            out.extend(expressions(clean, index, block_end))
            index = first = block_end
            continue
        if char == "{":
            block_end = closing(clean, index)
            pieces.append(clean[index:block_end])
            index = block_end
            continue
        if char == ";" and depth == 0:
            flush(index + 1)
        else:
            pieces.append(char)
        index += 1
    flush(end)
    return out


def _opens_block(before):
    """Whether a brace behind this text opens a block (and not a braced value)."""
    text = before.rstrip()
    if not text or text.endswith((")", ":")):
        return True
    return bool(re.search(r"\b(else|do|try|mutable|noexcept)$|\b(struct|class|enum)\b", text))
