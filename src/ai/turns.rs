//! A chat in the form that models require: alternating turns, the user first and last.
use super::spoken::without_thoughts;
use crate::chat::Turn;
use crate::model::Role;

/// Merges consecutive turns of the same side, and drops those before the user's first. Thoughts of the model are
/// removed.
pub(super) fn in_turn(turns: &[Turn]) -> Vec<Turn> {
    let mut by_turns: Vec<Turn> = Vec::with_capacity(turns.len());
    for Turn { role, text } in turns {
        let text = if *role == Role::Model { without_thoughts(text) } else { text.clone() };
        match by_turns.last_mut() {
            _ if *role == Role::Model && text.is_empty() => {}
            None if *role == Role::Model => {}
            Some(last) if last.role == *role => {
                last.text.push_str("\n\n");
                last.text.push_str(&text);
            }
            _ => by_turns.push(Turn { role: *role, text }),
        }
    }
    by_turns
}

/// Returns the newer half of the turns; `None` if only the question is left.
pub(super) fn shorter(turns: &[Turn]) -> Option<Vec<Turn>> {
    let kept = turns.len() / 2;
    (kept > 0).then(|| in_turn(turns.get(turns.len() - kept..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(said: &[&str]) -> Vec<Turn> {
        let turn = |said: &&str| {
            let (role, text) = said.split_once(':').unwrap();
            Turn { role: if role == "m" { Role::Model } else { Role::User }, text: text.to_owned() }
        };
        said.iter().map(turn).collect()
    }

    #[test]
    fn turns_alternate_and_the_user_begins() {
        for (said, expected) in [
            (&["m:0", "u:1", "u:2", "m:3", "m:4", "u:5"][..], &["u:1\n\n2", "m:3\n\n4", "u:5"][..]),
            (&["u:1"], &["u:1"]),
            (&["u:1", "m:<think>2</think>", "u:3"], &["u:1\n\n3"]),
            (&["u:<think>1</think>", "m:<think>2</think>\n3", "u:4"], &["u:<think>1</think>", "m:3", "u:4"]),
        ] {
            assert_eq!(in_turn(&turns(said)), turns(expected), "{said:?}");
        }
    }

    #[test]
    fn a_chat_is_halved_until_the_question_is_left() {
        let mut left = turns(&["u:1", "m:2", "u:3", "m:4", "u:5", "m:6", "u:7"]);
        let mut lengths = Vec::new();
        while let Some(shorter) = shorter(&left) {
            lengths.push(shorter.len());
            left = shorter;
        }
        assert_eq!(lengths, [3, 1]);
        assert_eq!(left, turns(&["u:7"]));
    }
}
