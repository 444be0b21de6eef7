//! Questions to the model, and its words.
use std::time::Duration;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use super::error::ModelError;
use crate::model::Role;

/// The server stops: questions that wait are given up. Answered when those that are asked are answered and given to the
/// store, or given up as well because it took too long.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct FinishAnswers {
    /// For so long answers are waited for.
    pub within: Duration,
}

/// Asks the model. `answers` gets pieces, where `stream`, and then one answer or failure, whatever happens.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Prompt {
    /// The broker's number for it.
    pub ticket: u64,
    /// Latest turns of the chat, the question at the end.
    pub turns: Vec<Turn>,
    /// Asks for the answer piece by piece.
    pub stream: bool,
    /// Receiver of the answer.
    pub answers: Recipient<ModelSaid>,
    /// Ends when nobody waits for the answer any more: the model need not say more.
    pub wanted: oneshot::Receiver<()>,
}

/// A [`Prompt`] without the place where its answer goes.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The broker's number for it.
    pub ticket: u64,
    /// Latest turns of the chat, the question at the end.
    pub turns: Vec<Turn>,
    /// Asks for the answer piece by piece.
    pub stream: bool,
    /// Ends when nobody waits for the answer any more.
    pub wanted: oneshot::Receiver<()>,
}

impl Asked {
    /// The same with a place for the answer.
    pub(crate) fn answered_to(self, answers: Recipient<ModelSaid>) -> Prompt {
        let Self { ticket, turns, stream, wanted } = self;
        Prompt { ticket, turns, stream, answers, wanted }
    }
}

/// Something that was said in a chat with the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Role of the speaker.
    pub role: Role,
    /// Text that was said; never empty.
    pub text: String,
}

/// The model, or what stands for it, says something to a [`Prompt`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct ModelSaid {
    /// The prompt's.
    pub ticket: u64,
    /// Piece, answer or failure.
    pub word: ModelWord,
}

/// Word of the model about a [`Prompt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelWord {
    /// More of the answer; the whole one follows.
    Piece(String),
    /// The whole answer.
    Answer {
        /// Not empty, and without what cannot be stored.
        text: String,
        /// Set if it was cut by length or time.
        is_truncated: bool,
    },
    /// There is none.
    Failed(ModelError),
}
