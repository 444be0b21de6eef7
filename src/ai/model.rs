//! The actor that asks the provider.
use std::sync::Arc;

use actix::{Actor, Context, Handler, Recipient};
use log::{info, warn};

use super::client::{Client, Patience, Pieces};
use super::gemini::Gemini;
use super::openai::OpenAi;
use super::protocol::Protocol;
use super::reading::Said;
use crate::chat::{ModelError, ModelSaid, ModelWord, Prompt, Turn};
use crate::config::{AiProvider, Config, ModelAddress, Secret};
use crate::meter::{Meter, Metered};

/// Answer of a server without a model, followed by the question.
const ECHO: &str = "No AI model is configured on this server (AI_PROVIDER=echo). You said: ";

/// A provider setting that cannot be used, explained in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unusable(String);

/// Sends the broker's prompts to the configured provider. The broker limits how many run at a time.
#[derive(Debug)]
pub(crate) struct Model {
    provider: Arc<Provider>,
    meter: Arc<Meter>,
}

#[derive(Debug)]
enum Provider {
    Echo,
    Remote(Client),
}

impl Model {
    /// Makes the configured model; `meter` counts its turns.
    ///
    /// # Errors
    /// [`Unusable`] if a setting makes no sense.
    pub(crate) fn new(config: &Config, meter: Arc<Meter>) -> Result<Self, Unusable> {
        let Config { ai_provider, ai_url, ai_api_key, ai_model, ai_system_prompt, ai_timeout, ai_total_timeout, .. } = config;
        let protocol: Box<dyn Protocol> = match ai_provider {
            AiProvider::Echo => return Ok(Self { provider: Arc::new(Provider::Echo), meter }),
            AiProvider::Gemini => Box::new(Gemini::new(ai_url, ai_model, ai_system_prompt)),
            AiProvider::Openai => Box::new(OpenAi::new(ai_url, ai_model, ai_system_prompt)),
        };
        if ai_api_key.is_none() && *ai_url == ModelAddress::default() {
            warn!(provider:% = ai_provider; "AI_PROVIDER needs AI_API_KEY, or the AI_URL of a server that needs none");
        }
        info!(address:% = protocol.address(false); "AI questions go to a model");
        let patience = Patience { silence: *ai_timeout, total: *ai_total_timeout };
        let client = Client::new(protocol, ai_api_key.as_ref().map(Secret::expose), patience).map_err(Unusable)?;
        Ok(Self { provider: Arc::new(Provider::Remote(client)), meter })
    }
}

impl Metered for Model {
    fn meter(&self) -> &Meter {
        &self.meter
    }
}

impl Actor for Model {
    type Context = Context<Self>;
}

impl Handler<Prompt> for Model {
    type Result = ();

    fn handle(&mut self, message: Prompt, _: &mut Context<Self>) {
        self.step::<Prompt, _>(|model| {
            let Prompt { ticket, turns, stream, answers, wanted } = message;
            let (provider, mut asked) = (model.provider.clone(), Asked { ticket, answers, is_answered: false });
            actix::spawn(async move {
                let ask = async {
                    let answer = match &*provider {
                        Provider::Echo => Ok(echo(&turns, stream, &mut asked).await),
                        Provider::Remote(client) => client.ask(&turns, stream.then_some(&mut asked)).await,
                    };
                    asked.end(answer);
                };
                tokio::select! {
                    () = ask => {}
                    // Dropping the future ends the request to the provider.
                    _ = wanted => {}
                }
            });
        });
    }
}

async fn echo(turns: &[Turn], stream: bool, asked: &mut Asked) -> Said {
    let question = turns.last().map_or("", |turn| &turn.text);
    if stream {
        asked.piece(ECHO.to_owned()).await;
        asked.piece(question.to_owned()).await;
    }
    Said { text: format!("{ECHO}{question}"), is_truncated: false }
}

/// A prompt in progress. It always reports an end, because the broker waits for one.
struct Asked {
    ticket: u64,
    answers: Recipient<ModelSaid>,
    is_answered: bool,
}

impl Asked {
    fn end(&mut self, answer: Result<Said, ModelError>) {
        self.is_answered = true;
        let word = match answer {
            Ok(Said { text, is_truncated }) => ModelWord::Answer { text, is_truncated },
            Err(error) => ModelWord::Failed(error),
        };
        self.answers.do_send(ModelSaid { ticket: self.ticket, word });
    }
}

impl Pieces for Asked {
    async fn piece(&mut self, text: String) {
        // If the broker is gone, nobody needs the piece.
        let _ = self.answers.send(ModelSaid { ticket: self.ticket, word: ModelWord::Piece(text) }).await;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.is_answered {
            self.end(Err(ModelError::Failed));
        }
    }
}
