//! `catch_unwind`: a panic in the stages above as an error.

use std::any::Any;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

/// A stage panicked: see [`Flow::catch_unwind`].
#[derive(Debug, Clone)]
pub struct Panicked {
    message: String,
    section: Box<Outline>,
    site: Site,
}

impl Panicked {
    /// The text of the panic.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The stages of which one panicked, as they stood then: each with its name and source line.
    pub fn section(&self) -> &Outline {
        &self.section
    }

    /// Where the section was closed by [`Flow::catch_unwind`].
    pub fn site(&self) -> Site {
        self.site
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a stage panicked: {}; it stands", self.message)?;
        if let Some(last) = self.section.last() {
            write!(f, " in the section that ends with {}", last.name())?;
            if let Some(site) = last.site() {
                write!(f, " at {site}")?;
            }
            f.write_str(",")?;
        }
        write!(f, " above catch_unwind at {}", self.site)
    }
}

impl std::error::Error for Panicked {}

impl<S: Stage> Flow<S> {
    /// Passes items on as `Ok`, and turns a panic in the stages above into an error, and the end.
    ///
    /// ```text
    /// in   --1--2--0--3--|
    /// out  --x--5--#         map(|x| 10 / x).catch_unwind()
    /// where  x = 10
    /// ```
    ///
    /// For a supervisor that is to go on when one flow dies of a bug: the error carries the text of
    /// the panic and the outline of the section, and the source line of the panic itself is in what
    /// the panic hook prints. A panic below, in an operator or a terminal that takes the items,
    /// is not caught. Together with [`restart`](crate::error::restart) the flow starts again.
    ///
    /// Nothing is caught where panics abort.
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** after a panic, with which the input is dropped, or when the input ends.
    /// - **On error**: an error of the input is an item here and comes out within `Ok`.
    /// - **Holds** 1 item: a panic that happened while downstream was busy.
    /// - **Cost**: two stores for an item; no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let flow = iter([2, 1, 0]).map(|x| 10 / x).catch_unwind();
    /// let panicked = flow.last().await.unwrap().unwrap_err();
    /// assert_eq!(panicked.message(), "attempt to divide by zero");
    /// assert_eq!(panicked.section().last().unwrap().name(), "map");
    /// # });
    /// ```
    #[doc(alias("catch_panics", "panics_as_errors"))]
    #[track_caller]
    pub fn catch_unwind(self) -> Flow<CatchUnwind<S>> {
        Flow::from_stage(CatchUnwind {
            input: Some(self.into_stage()),
            panicked: None,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::catch_unwind`].
#[pin_project]
#[derive(Debug)]
pub struct CatchUnwind<S> {
    /// `None` once it has panicked.
    #[pin]
    input: Option<S>,
    /// A panic that is not out yet.
    panicked: Option<Panicked>,
    site: Site,
}

fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a text").to_owned()
}

type Payload = Box<dyn Any + Send>;

impl<S: Stage> CatchUnwind<S> {
    /// Polls the input; it panicked before if there is none.
    fn guard<R>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut S>) -> R,
    ) -> Option<Result<R, Payload>> {
        let input = self.project().input.as_pin_mut()?;
        // Whoever gets a panic drops the input or passes the panic on: nobody sees the state that
        // the input was left in.
        Some(catch_unwind(AssertUnwindSafe(|| poll(input))))
    }

    fn panicked(self: Pin<&mut Self>, payload: Payload) {
        let mut this = self.project();
        let input = &*this.input;
        // It was left in the middle of a poll, and what it says of itself may panic too.
        let describe = || input.as_ref().map(Outline::of);
        let section = catch_unwind(AssertUnwindSafe(describe));
        *this.panicked = Some(Panicked {
            message: text(&*payload),
            section: Box::new(section.ok().flatten().unwrap_or_default()),
            site: this.site,
        });
        this.input.set(None);
    }

    fn failure<T>(self: Pin<&mut Self>) -> Option<Result<T, Panicked>> {
        self.project().panicked.take().map(Err)
    }
}

impl<S: Stage> Stage for CatchUnwind<S> {
    type Item = Result<S::Item, Panicked>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.as_mut().guard(|input| input.poll_next(cx)) {
            Some(Ok(polled)) => return polled.map(|item| item.map(Ok)),
            Some(Err(payload)) => self.as_mut().panicked(payload),
            None => {}
        }
        Poll::Ready(self.failure())
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut below = false;
        let drained = self.as_mut().guard(|input| {
            input.poll_drain(cx, &mut |item| {
                below = true;
                let flow = each(Ok(item));
                below = false;
                flow
            })
        });
        match drained {
            Some(Ok(drained)) => return drained,
            Some(Err(payload)) if below => resume_unwind(payload),
            Some(Err(payload)) => self.as_mut().panicked(payload),
            None => {}
        }
        Poll::Ready(self.failure().map_or(ControlFlow::Continue(()), each))
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.as_mut().guard(|input| input.poll_progress(cx)) {
            Some(Ok(driven)) => return driven,
            Some(Err(payload)) => self.panicked(payload),
            None => {}
        }
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.panicked.is_some());
        let most = self.input.as_ref().map_or(Some(0), |input| input.size_hint().1);
        // The input may panic at once, or after its last item.
        let panic = usize::from(self.input.is_some());
        (waiting, most.and_then(|most| most.checked_add(waiting + panic)))
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        outline.stage("catch_unwind", self.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    use crate::testing::{Timeline, conformance, every_way, marbles, specification};
    use crate::{Flow, Stage, Virtual, iter};

    fn failing(at: i32) -> Flow<impl Stage<Item = i32>> {
        iter(0..9).map(move |x| if x == at { panic!("item {x} is bad") } else { x })
    }

    #[test]
    fn a_panic_becomes_the_last_item() {
        let flow = || failing(2).catch_unwind().map_err(|panicked| panicked.message().to_owned());
        assert_eq!(every_way(flow), [Ok(0), Ok(1), Err("item 2 is bad".to_owned())]);
        assert_eq!(every_way(|| failing(99).catch_unwind().skip_errors()).len(), 9);
    }

    #[test]
    fn it_names_the_section_with_its_source_lines() {
        let line = line!() + 1;
        let flow = failing(0).filter(|_| true).catch_unwind();
        let panicked = Virtual::new().run(flow.last()).unwrap().unwrap_err();
        let text = panicked.to_string();
        let place = format!("ends with filter at {}:{line}:", file!());
        assert!(text.starts_with("a stage panicked: item 0 is bad;") && text.contains(&place));
        assert_eq!(panicked.site().line(), line);
        assert!(panicked.section().to_string().contains("map "));
    }

    #[test]
    fn the_input_is_dropped_with_the_panic() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let flow = iter([1]).map(move |_| panic!("{owned:?}")).catch_unwind();
        let mut flow = pin!(flow.map_ok(|(): ()| ()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(Some(Err(_)))));
        assert_eq!(watch.strong_count(), 0);
        assert!(matches!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(None)));
    }

    #[test]
    fn a_panic_of_downstream_is_not_caught() {
        let flow = iter(0..9).catch_unwind();
        let run = || Virtual::new().run(flow.for_each(|_| panic!("the consumer")));
        let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"the consumer"));
    }

    #[test]
    fn a_panic_of_work_in_flight_waits_for_its_turn() {
        let flow = iter([0]).map_async(1, async |_| panic!("in flight")).catch_unwind();
        let mut flow = pin!(flow.map_ok(|(): ()| ()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
        let Poll::Ready(Some(Err(panicked))) = Stage::poll_next(flow.as_mut(), &mut cx) else {
            panic!("no error");
        };
        assert_eq!(panicked.message(), "in flight");
    }

    conformance!(catch_unwind, |input| input
        .map(|x| x.value())
        .catch_unwind()
        .map_err(|e| e.message));

    marbles!(catch_unwind, |input: u32| {
        input.map(|x| 10 / x).catch_unwind().map_err(|e| e.message)
    });

    specification!(
        catch_unwind,
        |input| input
            .map(|x: u8| if x == 3 { panic!("three") } else { x })
            .catch_unwind()
            .map_err(|e| e.message),
        |input| {
            let bad = input.events.iter().position(|(_, x)| *x == 3);
            let end = bad.map_or(input.end, |bad| input.events[bad].0);
            let len = bad.map_or(input.events.len(), |bad| bad + 1);
            let item = |x: u8| if x == 3 { Err("three".to_owned()) } else { Ok(x) };
            Timeline::new(input.events[..len].iter().map(|(at, x)| (*at, item(*x))), end)
        },
    );
}
