#!/usr/bin/env python3
"""Builds many mutants into one source tree, each behind a switch, so that one build serves them all.

    switch.py TREE PATCH...

TREE is a copy of the checkout, and is changed in place. A function that a patch changes keeps its own body and gets the
patched one beside it: `if crate::mutant("NAME") { patched } else { own }`. The one that is on is named in TREE/mutant,
which each process reads once; no file, or an empty one: none.

Prints the names of the mutants that are in the tree. Left out are those that change something else than bodies of
functions, and those with which the tree does not compile: they have to be built one by one.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

SWITCH = '''
/// Returns whether this mutant is on.
#[doc(hidden)]
pub fn mutant(name: &str) -> bool {
    static ON: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let read = || std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/mutant")).unwrap_or_default();
    ON.get_or_init(read).trim() == name
}
'''

# What has no braces or parentheses of code in it: comments, strings, characters.
OPAQUE = re.compile(
    r'''//[^\n]*|r(\#*)".*?"\1|"(?:\\.|[^"\\])*"|'(?:\\(?:x..|u\{[^}]*\}|.)|[^'\\\n])'(?!\w)''',
    re.DOTALL,
)


def blanked(source):
    """Returns the source with blanks in place of comments, strings and characters; lines and offsets stay."""
    text = OPAQUE.sub(lambda found: re.sub(r'[^\n]', ' ', found.group()), source)
    # Comments of several lines may hold others.
    depth, begin, out = 0, 0, list(text)
    for found in re.finditer(r'/\*|\*/', text):
        if found.group() == '/*':
            begin = begin if depth else found.start()
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                for at in range(begin, found.end()):
                    out[at] = '\n' if text[at] == '\n' else ' '
    return ''.join(out)


def functions(source):
    """Lists the functions with a body: (header, offset of the body's `{`, offset behind its `}`), in order."""
    text = blanked(source)
    found = []
    for word in re.finditer(r'\bfn\s+\w+', text):
        line = source.rfind('\n', 0, word.start()) + 1
        depth, at = 0, word.end()
        while at < len(text) and not (depth == 0 and text[at] in '{;'):
            depth += {'(': 1, '[': 1, ')': -1, ']': -1}.get(text[at], 0)
            at += 1
        if at == len(text) or text[at] == ';':
            continue
        braces, end = 0, at
        while True:
            braces += {'{': 1, '}': -1}.get(text[end], 0)
            end += 1
            if braces == 0:
                break
        found.append((source[line:at], at, end))
    return found


def patched(tree, patch):
    """Returns the texts of the files that a patch changes, before and after, by path. None if it does not apply."""
    texts = {}
    for path in re.findall(r'^--- a/(\S+)', patch.read_text(), re.MULTILINE):
        texts[path] = (tree / path).read_text()
    subprocess.run(['patch', '-p1', '--fuzz=2', '--no-backup-if-mismatch', '--silent', '--reject-file=-'],
                   stdin=patch.open(), cwd=tree, check=True, capture_output=True)
    after = {path: (before, (tree / path).read_text()) for path, before in texts.items()}
    for path, before in texts.items():
        (tree / path).write_text(before)
    return after


def bodies(before, after):
    """Finds the functions whose bodies differ: [(number of the function, patched body)]. None if more differs."""
    old, new = functions(before), functions(after)
    if [header for header, _, _ in old] != [header for header, _, _ in new]:
        return None
    differing = []
    for number, ((header, begin, end), (_, new_begin, new_end)) in enumerate(zip(old, new)):
        if before[begin:end] != after[new_begin:new_end]:
            differing.append((number, header, (begin, end), after[new_begin:new_end]))
    # Of functions within functions, the innermost.
    inner = [one for one in differing if not any(other is not one and one[2][0] < other[2][0] and other[2][1] < one[2][1] for other in differing)]
    rest_before, rest_after = list(before), list(after)
    for number, header, (begin, end), _ in inner:
        if re.search(r'\bconst\s+(unsafe\s+)?fn\b', header):
            return None
        rest_before[begin:end] = [''] * (end - begin)
        _, new_begin, new_end = new[number]
        rest_after[new_begin:new_end] = [''] * (new_end - new_begin)
    return [(number, body) for number, _, _, body in inner] if ''.join(rest_before) == ''.join(rest_after) else None


def write(tree, originals, mutants):
    """Writes the files with these mutants. Returns where each one's code stands: {path: [(first line, last, name)]}."""
    (tree / 'src/lib.rs').write_text(originals['src/lib.rs'] + SWITCH)
    regions = {}
    for path, before in originals.items():
        if path == 'src/lib.rs':
            continue
        crate = 'parlance' if path == 'src/main.rs' else 'crate'
        text, shift = before, 0
        for number, (_, begin, end) in enumerate(functions(before)):
            of_it = [(name, body) for name, parts in mutants.items() for at, body in parts.get(path, []) if at == number]
            if not of_it:
                continue
            written = '{\n'
            for name, body in of_it:
                first = text.count('\n', 0, begin + shift) + written.count('\n') + 1
                written += f'if {crate}::mutant("{name}") {body}\nelse '
                regions.setdefault(path, []).append((first, first + body.count('\n'), name))
            written += before[begin:end] + '\n}'
            text = text[:begin + shift] + written + text[end + shift:]
            shift += len(written) - (end - begin)
        (tree / path).write_text(text)
    return regions


def errors(tree):
    """Compiles. Returns the places of errors: [(path, first line, last line)]."""
    output = subprocess.run(
        ['cargo', 'check', '--quiet', '--lib', '--bins', '--message-format=json'],
        cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ).stdout
    places = []
    for line in output.splitlines():
        message = json.loads(line).get('message') or {}
        if message.get('level') == 'error':
            places += [(span['file_name'], span['line_start'], span['line_end']) for span in message['spans'] if span['is_primary']]
    return places


def main():
    tree = Path(sys.argv[1])
    originals, mutants = {'src/lib.rs': (tree / 'src/lib.rs').read_text()}, {}
    for patch in map(Path, sys.argv[2:]):
        try:
            files = patched(tree, patch)
        except subprocess.CalledProcessError:
            continue
        parts = {path: bodies(*texts) for path, texts in files.items()}
        if 'src/lib.rs' in parts or not all(parts.values()):
            continue
        originals.update({path: before for path, (before, _) in files.items()})
        mutants[patch.stem] = parts
    while True:
        regions = write(tree, originals, mutants)
        places = errors(tree)
        if not places:
            break
        faulty = {
            name for path, first, last in places
            for begin, end, name in regions.get(path, []) if begin <= last and first <= end
        }
        # An error beside all of them may be one of any mutant in that file.
        if not faulty:
            faulty = {name for path, _, _ in places for _, _, name in regions.get(path, [])}
        if not faulty:
            sys.exit(f'the tree does not compile: {places}')
        print('built one by one, for the tree does not compile with them:', *sorted(faulty), file=sys.stderr)
        for name in faulty:
            del mutants[name]
    print(*sorted(mutants), sep='\n')


main()
