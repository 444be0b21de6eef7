//! A worker thread, as seen by the requests on it.
use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, PoisonError};

use actix::{AsyncContext as _, Context};

use super::actor::WorkerActor;
use super::registry::Registry;
use super::shared::Shared;
use super::table::Table;
use crate::engineio::{Delivery, Service};
use crate::meter::Counted;
use crate::transport::admission::Node;
use crate::transport::connection::{WorkerState, WorkerStats};

/// The connections of this thread, and the access to those of others.
pub(in crate::transport) struct Thread<S: Service> {
    pub(in crate::transport) shared: Arc<Shared<S>>,
    pub(in crate::transport) table: Rc<Table<S>>,
}

thread_local! {
    /// This thread's instance. A thread serves one server for life.
    static CURRENT: RefCell<Option<Rc<dyn Any>>> = const { RefCell::new(None) };
}

impl<S: Service> Thread<S> {
    /// Returns this thread's instance; the first call creates the table and the [`WorkerActor`].
    pub(in crate::transport) fn current(
        shared: &Arc<Shared<S>>,
        context: impl FnOnce(u16, Counted<Delivery<S::Shared, S::Notice>>) -> S::Context,
    ) -> Rc<Self> {
        let current = CURRENT.with_borrow(|current| current.clone().and_then(|thread| thread.downcast::<Self>().ok()));
        current.unwrap_or_else(|| {
            let thread = Rc::new(Self::start(shared.clone(), context));
            CURRENT.set(Some(thread.clone()));
            thread
        })
    }

    fn start(shared: Arc<Shared<S>>, context: impl FnOnce(u16, Counted<Delivery<S::Shared, S::Notice>>) -> S::Context) -> Self {
        let index = shared.next_worker();
        let actor = Context::<WorkerActor<S>>::new();
        let address = actor.address();
        let stats = Arc::new(WorkerStats::default());
        shared.actors.lock().unwrap_or_else(PoisonError::into_inner).push((index, address.clone()));
        shared.stats.lock().unwrap_or_else(PoisonError::into_inner).push(stats.clone());
        let context = context(index, Counted::new(address.recipient(), stats.actor_meter.clone()));
        let worker = WorkerState::new(shared.node.clone(), context, stats, shared.registry.clone());
        let table = Rc::new(Table::new(index, worker));
        actor.run(WorkerActor::new(table.clone()));
        Self { shared, table }
    }

    pub(in crate::transport) fn worker(&self) -> &WorkerState<S> {
        &self.table.worker
    }

    pub(in crate::transport) fn node(&self) -> &Node {
        &self.shared.node
    }

    pub(in crate::transport) fn registry(&self) -> &Registry<S> {
        &self.shared.registry
    }
}
