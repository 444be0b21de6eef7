//! Removes the model's thoughts from an answer: some providers put them before it as `<think>…</think>`.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Position of a thought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thought {
    /// Before the answer.
    First,
    /// Inside the answer. It may also be an answer that mentions the tag, which is then never closed.
    Later,
}

/// Tags that a `<` may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Open,
    Close,
    /// Undecided until more text comes.
    Begun,
    No,
}

/// Filters the text of a model piece by piece.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    answer: String,
    /// Undecided text: blanks before the answer, …
    lead: String,
    /// … and a tag that has begun, or a thought inside the answer.
    held: String,
    /// Length of the start of `held` that is known to hold no end of a thought.
    searched: usize,
    thought: Option<Thought>,
    has_thought: bool,
    code: Code,
}

impl Spoken {
    /// Returns the answer so far.
    pub(super) fn answer(&self) -> &str {
        &self.answer
    }

    /// Returns the number of bytes kept.
    pub(super) fn size(&self) -> usize {
        self.answer.len() + self.lead.len() + self.held.len()
    }

    /// Adds text; returns the part that can be shown now.
    pub(super) fn push(&mut self, text: &str) -> String {
        self.held.push_str(text);
        let mut piece = String::new();
        while match self.thought {
            Some(thought) => self.skip(thought),
            None => self.say(&mut piece),
        } {}
        piece
    }

    /// Ends the text; `is_cut` if more would have come. Returns the text still held back.
    pub(super) fn finish(&mut self, is_cut: bool) -> String {
        let mut piece = String::new();
        let held = std::mem::take(&mut self.held);
        let is_thought = match self.thought.take() {
            Some(Thought::First) => true,
            Some(Thought::Later) => is_cut,
            None => false,
        };
        if !is_thought {
            self.release(&held, &mut piece);
        }
        piece
    }

    /// Returns the whole answer.
    pub(super) fn into_answer(self) -> String {
        self.answer
    }

    /// Drops a thought if its end has come; returns whether it has.
    fn skip(&mut self, thought: Thought) -> bool {
        if let Some(end) = find(&self.held, self.searched, CLOSE) {
            self.held.drain(..end + CLOSE.len());
            self.searched = 0;
            self.thought = None;
            return true;
        }
        // A closing tag may have begun at the end of the text.
        let judged = self.held.floor_char_boundary(self.held.len().saturating_sub(CLOSE.len() - 1));
        match thought {
            Thought::First => {
                self.held.drain(..judged);
                self.searched = 0;
            }
            Thought::Later => self.searched = judged.max(self.searched),
        }
        false
    }

    /// Shows the text held before a tag; returns whether there is a tag.
    fn say(&mut self, piece: &mut String) -> bool {
        let held = std::mem::take(&mut self.held);
        for (at, character) in held.char_indices() {
            let (before, rest) = held.split_at_checked(at).unwrap_or((&held, ""));
            let tag = if character == '<' && !self.code.is_open() { tag_at(rest) } else { Tag::No };
            match tag {
                Tag::Open => {
                    self.release(before, piece);
                    self.has_thought = true;
                    let is_first = self.answer.is_empty();
                    self.thought = Some(if is_first { Thought::First } else { Thought::Later });
                    rest.clone_into(&mut self.held);
                    self.searched = OPEN.len();
                    return true;
                }
                // If a model's template opens the thought, the model itself only closes it.
                Tag::Close if !self.has_thought => {
                    for text in [&mut self.answer, &mut self.lead, piece] {
                        text.clear();
                    }
                    (self.has_thought, self.code) = (true, Code::default());
                    rest.get(CLOSE.len()..).unwrap_or_default().clone_into(&mut self.held);
                    return true;
                }
                Tag::Begun => {
                    self.release(before, piece);
                    rest.clone_into(&mut self.held);
                    return false;
                }
                Tag::Close | Tag::No => self.code.pass(character),
            }
        }
        self.release(&held, piece);
        false
    }

    fn release(&mut self, text: &str, piece: &mut String) {
        if !self.answer.is_empty() {
            self.answer.push_str(text);
            piece.push_str(text);
            return;
        }
        self.lead.push_str(text);
        let begin = self.lead.trim_start();
        if begin.is_empty() {
            return;
        }
        // Blanks around a thought do not belong to the answer.
        let begin = if self.has_thought { begin } else { &self.lead };
        self.answer.push_str(begin);
        piece.push_str(begin);
        self.lead.clear();
    }
}

/// Removes the thoughts from a complete text.
pub(super) fn without_thoughts(text: &str) -> String {
    let mut spoken = Spoken::default();
    spoken.push(text);
    spoken.finish(false);
    spoken.into_answer()
}

/// Finds a tag from `from` on, ignoring case.
fn find(text: &str, from: usize, tag: &str) -> Option<usize> {
    let mut windows = text.as_bytes().get(from..)?.windows(tag.len());
    windows.position(|bytes| bytes.eq_ignore_ascii_case(tag.as_bytes())).map(|at| from + at)
}

fn tag_at(rest: &str) -> Tag {
    for (tag, kind) in [(OPEN, Tag::Open), (CLOSE, Tag::Close)] {
        let length = tag.len().min(rest.len());
        let (wanted, found) = (tag.as_bytes().get(..length), rest.as_bytes().get(..length));
        if wanted.zip(found).is_some_and(|(wanted, found)| wanted.eq_ignore_ascii_case(found)) {
            return if length == tag.len() { kind } else { Tag::Begun };
        }
    }
    Tag::No
}

/// Tracks whether Markdown code is open: a tag inside code is being mentioned, not used.
#[derive(Debug, Default)]
struct Code {
    /// Length of the current run of backticks.
    run: usize,
    /// Length of the run that opened it.
    opened_by: Option<usize>,
}

impl Code {
    /// Number of backticks that open a block, which line ends do not close.
    const BLOCK: usize = 3;

    fn pass(&mut self, character: char) {
        if character == '`' {
            self.run += 1;
            return;
        }
        self.settle();
        if character == '\n' && self.opened_by.is_some_and(|count| count < Self::BLOCK) {
            self.opened_by = None;
        }
    }

    fn settle(&mut self) {
        let run = std::mem::take(&mut self.run);
        self.opened_by = match self.opened_by {
            opened_by if run == 0 => opened_by,
            None => Some(run),
            Some(count) if count == run => None,
            opened_by => opened_by,
        };
    }

    fn is_open(&mut self) -> bool {
        self.settle();
        self.opened_by.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the text shown when an answer arrives in pieces of `by` characters, and the final answer.
    fn spoken(text: &str, by: usize, is_cut: bool) -> (String, String) {
        let (mut spoken, mut shown) = (Spoken::default(), String::new());
        let characters: Vec<char> = text.chars().collect();
        for piece in characters.chunks(by) {
            shown += &spoken.push(&piece.iter().collect::<String>());
        }
        shown += &spoken.finish(is_cut);
        (shown, spoken.into_answer())
    }

    #[test]
    fn thoughts_are_not_shown_however_they_are_cut() {
        for (text, expected) in [
            ("Hello", "Hello"),
            ("  Hello", "  Hello"),
            ("<think>hm</think>Hello", "Hello"),
            ("\n<THINK>\nhm <b> ö</Think>\n\nHello\n", "Hello\n"),
            ("<think></think>\n<think>again</think> Hello", "Hello"),
            ("<think>hm", ""),
            ("Hello <think>hm</think>you", "Hello you"),
            ("hm, hm</think>\nHello", "Hello"),
            ("a < b <thin </thing> <", "a < b <thin </thing> <"),
            ("The tag `<think>` begins it, `</think>` ends it", "The tag `<think>` begins it, `</think>` ends it"),
            ("```xml\n\n<think>a</think>\n```\n<think>b</think>c", "```xml\n\n<think>a</think>\n```\nc"),
            ("a ` b\n<think>c</think>d", "a ` b\nd"),
            ("It begins with <think> and goes on", "It begins with <think> and goes on"),
            ("<think>hm</think>a </think> b", "a </think> b"),
        ] {
            for by in 1..=text.chars().count() {
                let (shown, answer) = spoken(text, by, false);
                assert_eq!(answer, expected, "{text:?} by {by}");
                assert!(shown.ends_with(&answer), "{shown:?} {text:?} by {by}");
            }
            assert_eq!(without_thoughts(text), expected);
        }
    }

    #[test]
    fn a_thought_that_was_cut_is_none_of_the_answer() {
        assert_eq!(spoken("Hello <think>hm", 3, true).1, "Hello ");
        assert_eq!(spoken("<think>hm</thi", 3, true).1, "");
    }

    #[test]
    fn a_thought_before_the_answer_is_not_kept() {
        let mut spoken = Spoken::default();
        spoken.push("<think>");
        for _ in 0..1_000 {
            spoken.push("hm, let me think about it <");
            assert!(spoken.size() < 64);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_the_same_however_it_is_cut(text in "(<think>|</think>|</?t|`{1,3}|\\n|[a-zö< ]){0,12}", by in 1usize..6) {
            prop_assert_eq!(spoken(&text, by, false).1, without_thoughts(&text));
        }

        #[test]
        fn what_holds_no_tag_is_shown_as_it_is(text in "[^<]{0,30}") {
            let expected = if text.trim().is_empty() { "" } else { &text };
            prop_assert_eq!(without_thoughts(&text), expected);
        }
    }
}
