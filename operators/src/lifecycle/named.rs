//! `named`: a name for a section of a flow.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Gives a name to everything above, up to the next name or the source.
    ///
    /// ```text
    /// in   --a--b--|
    /// out  --a--b--|    named("quotes")
    /// ```
    ///
    /// The name stands in the [`outline`](Self::outline). To have it in an error, make the error
    /// there: `map_err(|error| ..)`; a panic tells its own source line.
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** nothing.
    /// - **Cost**: nothing at run time.
    ///
    /// ```
    /// let flow = aqueduct_operators::iter(0..9).map(|x| x * 2).named("quotes");
    /// assert!(flow.outline().to_string().contains("named(name: quotes)"));
    /// ```
    #[doc(alias("name", "tag", "checkpoint", "label"))]
    #[track_caller]
    pub fn named(self, name: &'static str) -> Flow<Named<S>> {
        Flow::from_stage(Named { input: self.into_stage(), name, site: Location::caller() })
    }
}

/// The stage behind [`Flow::named`].
#[pin_project]
#[derive(Debug)]
pub struct Named<S> {
    #[pin]
    input: S,
    name: &'static str,
    site: Site,
}

impl<S: Stage> Stage for Named<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.project().input.poll_next(cx)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.project().input.poll_drain(cx, each)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("named", self.site).parameter("name", self.name);
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{conformance, marbles, specification};

    #[test]
    fn the_name_and_its_place_stand_in_the_outline() {
        let here = line!() + 1;
        let outline = iter(0..9).named("quotes").outline();
        let node = outline.last().unwrap();
        let parameters: Vec<_> = node.parameters().collect();
        assert_eq!((node.name(), parameters), ("named", vec![("name", "quotes")]));
        assert_eq!(node.site().unwrap().line(), here);
    }

    marbles!(named, |input| input.named("quotes"));

    conformance!(named, |input| input.named("quotes"));

    specification!(named, at_any_pace, |input| input.named("quotes"), |input| input);
}
