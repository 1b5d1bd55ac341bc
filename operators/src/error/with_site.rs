//! `with_site`: errors that say where in the flow they were made.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

/// An error, and the stages through which it came: see [`Flow::with_site`].
#[derive(Debug, Clone)]
pub struct ErrorAt<E> {
    /// The error itself.
    pub error: E,
    section: Arc<Outline>,
}

impl<E> ErrorAt<E> {
    /// The name of the stage that it came out of.
    pub fn stage(&self) -> &str {
        self.section.last().map_or("", |node| node.name())
    }

    /// Where that stage was assembled.
    pub fn site(&self) -> Option<Site> {
        self.section.last().and_then(|node| node.site())
    }

    /// The whole section, from its sources down to that stage.
    pub fn section(&self) -> &Outline {
        &self.section
    }
}

impl<E: fmt::Display> fmt::Display for ErrorAt<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { error, .. } = self;
        match self.site() {
            Some(site) => write!(f, "{}, at {site}: {error}", self.stage()),
            None => write!(f, "{}: {error}", self.stage()),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for ErrorAt<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The text holds that of the error itself.
        self.error.source()
    }
}

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Gives each error the name and the source line of the stage that it comes out of.
    ///
    /// ```text
    /// in   --1--2--#
    /// out  --1--2--#    with_site()
    /// ```
    ///
    /// Put it directly below the stage that can fail, or below a section whose errors should carry
    /// its outline. It looks at the stages above when the first error comes, so that a flow without
    /// errors pays nothing. Sections nest: the error of an inner one is the error of the outer.
    ///
    /// - **Emits** one item for each item, in the same poll; an error within [`ErrorAt`].
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: it passes, and the flow goes on.
    /// - **Holds** nothing.
    /// - **Cost**: nothing for an item; a few allocations for the first error, a reference count
    ///   for each further one.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let prices = iter(["7", "x"]).map(|text| text.parse::<u32>()).with_site();
    /// let error = prices.last().await.unwrap().unwrap_err();
    /// assert_eq!(error.stage(), "map");
    /// assert!(error.to_string().ends_with(": invalid digit found in string"));
    /// # });
    /// ```
    #[doc(alias("checkpoint", "context", "at_stage", "traced"))]
    #[track_caller]
    pub fn with_site(self) -> Flow<WithSite<S>> {
        Flow::from_stage(WithSite {
            input: self.into_stage(),
            section: None,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::with_site`].
#[pin_project]
#[derive(Debug)]
pub struct WithSite<S> {
    #[pin]
    input: S,
    /// From the first error on.
    section: Option<Arc<Outline>>,
    site: Site,
}

impl<S: Stage> WithSite<S> {
    fn locate<E>(self: Pin<&mut Self>, error: E) -> ErrorAt<E> {
        let this = self.project();
        let input = &*this.input;
        let section = this.section.get_or_insert_with(|| Arc::new(Outline::of(input)));
        ErrorAt { error, section: section.clone() }
    }
}

/// Why the drain of the input broke.
enum Break<B, E> {
    Consumer(B),
    FirstError(E),
}

impl<S: Stage<Item = Result<T, E>>, T, E> Stage for WithSite<S> {
    type Item = Result<T, ErrorAt<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.as_mut().project().input.poll_next(cx));
        Poll::Ready(item.map(|item| item.map_err(|error| self.locate(error))))
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        loop {
            let this = self.as_mut().project();
            let section = &*this.section;
            let drained = this.input.poll_drain(cx, &mut |item| match (item, section) {
                (Ok(item), _) => each(Ok(item)).map_break(Break::Consumer),
                (Err(error), Some(section)) => {
                    let error = ErrorAt { error, section: section.clone() };
                    each(Err(error)).map_break(Break::Consumer)
                }
                // The stages above are being polled and cannot be looked at now.
                (Err(error), None) => ControlFlow::Break(Break::FirstError(error)),
            });
            return match ready!(drained) {
                ControlFlow::Continue(()) => Poll::Ready(ControlFlow::Continue(())),
                ControlFlow::Break(Break::Consumer(value)) => {
                    Poll::Ready(ControlFlow::Break(value))
                }
                ControlFlow::Break(Break::FirstError(error)) => {
                    match each(Err(self.as_mut().locate(error))) {
                        ControlFlow::Continue(()) => continue,
                        broke => Poll::Ready(broke),
                    }
                }
            };
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("with_site", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Tracked, conformance, every_way, marbles, specification};
    use crate::{Virtual, iter};

    #[test]
    fn an_error_names_the_stage_that_it_came_out_of() {
        let line = line!() + 1;
        let flow = || iter(["7", "x", "8", "y"]).map(str::parse::<u32>).with_site();
        let all = every_way(|| flow().map_err(|error| error.to_string()));
        let text = format!("map, at {}:{line}:", file!());
        assert_eq!((&all[0], &all[2]), (&Ok(7), &Ok(8)));
        for error in [&all[1], &all[3]] {
            let error = error.as_ref().unwrap_err();
            assert!(error.starts_with(&text), "{error}");
            assert!(error.ends_with(": invalid digit found in string"), "{error}");
        }
    }

    #[test]
    fn it_carries_the_outline_of_its_section() {
        let flow = iter([1, 2]).pairwise().map(Err::<(), _>).with_site();
        let error = Virtual::new().run(flow.last()).unwrap().unwrap_err();
        assert_eq!((error.error, error.stage()), ((1, 2), "map"));
        let lines: Vec<_> = error.section().to_string().lines().map(str::to_owned).collect();
        assert!(lines[0].starts_with("iter") && lines[1].starts_with("pairwise"), "{lines:?}");
    }

    #[test]
    fn sections_nest() {
        let flow = iter([1]).map(Err::<(), _>).with_site().map_ok(|()| ()).with_site();
        let outer = Virtual::new().run(flow.last()).unwrap().unwrap_err();
        assert_eq!((outer.stage(), outer.error.stage()), ("map_ok", "map"));
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    conformance!(with_site, |input| input.map(checked).with_site().map_err(|at| at.error));

    marbles!(with_site, |input: Result<u32, String>| input.with_site());

    specification!(
        with_site,
        at_any_pace,
        |input: Result<u8, u8>| input.with_site().map_err(|at| at.error),
        |input| input,
    );
}
