//! `flatten_chunks` and `rechunk`: vectors taken apart, and put together in another size.

use super::{Chunks, FlatMapIter};
use crate::{Flow, Stage};

/// What an item that is a collection is taken apart by.
type Itself<I> = fn(I) -> I;

impl<S: Stage<Item = I>, I: IntoIterator> Flow<S> {
    /// Emits the items of each chunk, one chunk's after the other's.
    ///
    /// ```text
    /// in   --x-----y--z--|
    /// out  --(ab)-----c--|    flatten_chunks()
    /// where  x = [a, b], y = [], z = [c]
    /// ```
    ///
    /// It is [`flat_map_iter`](Self::flat_map_iter) over the chunks themselves, and the outline
    /// shows it so.
    ///
    /// - **Emits** each item of each chunk.
    /// - **Backpressures** when downstream does, and takes no chunk before the previous one is
    ///   through.
    /// - **Ends** when the input has ended and the last chunk is through.
    /// - **On error**: an error is an item here, within a chunk.
    /// - **Holds** 1 chunk.
    /// - **Cost**: no allocation; a clock read in each turn and every 1,024 items (see
    ///   [`Budget`](crate::Budget)).
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let rows = aqueduct_operators::iter([vec![1, 2], vec![], vec![3]]).flatten_chunks();
    /// assert_eq!(rows.collect::<Vec<_>>().await, [1, 2, 3]);
    /// # });
    /// ```
    #[doc(alias("unchunks", "flatten_iterables", "concat_all", "flatten_iter"))]
    #[track_caller]
    pub fn flatten_chunks(self) -> Flow<FlatMapIter<S, Itself<I>, I::IntoIter>> {
        self.flat_map_iter(std::convert::identity as Itself<I>)
    }

    /// Puts the items of the chunks together again, `size` at a time.
    ///
    /// ```text
    /// in   --x-----y-----|
    /// out  --------z-----(u|)    rechunk(2)
    /// where  x = [a], y = [b, c], z = [a, b], u = [c]
    /// ```
    ///
    /// It is [`flatten_chunks`](Self::flatten_chunks) and [`chunks`](Self::chunks), and the outline
    /// shows it so: the items and their order stay what they were.
    ///
    /// - **Emits** a chunk with its last item; at the end the rest, if there is any.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the rest is out.
    /// - **On error**: an error is an item here, within a chunk.
    /// - **Holds** 1 chunk of the input, and `size` items.
    /// - **Cost**: one vector for a chunk; a clock read in each turn and every 1,024 items.
    ///
    /// # Panics
    ///
    /// If `size` is zero.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let rows = aqueduct_operators::iter([vec![1], vec![2, 3]]).rechunk(2);
    /// assert_eq!(rows.collect::<Vec<_>>().await, [vec![1, 2], vec![3]]);
    /// # });
    /// ```
    #[doc(alias("chunk_limit", "rebatch"))]
    #[expect(clippy::type_complexity, reason = "a stage and what it is made of")]
    #[track_caller]
    pub fn rechunk(self, size: usize) -> Flow<Chunks<FlatMapIter<S, Itself<I>, I::IntoIter>>> {
        self.flatten_chunks().chunks(size)
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{
        Timeline, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn the_items_of_all_chunks_follow_one_another() {
        let flow = || iter([vec![1, 2], vec![], vec![3]]).flatten_chunks();
        assert_eq!(every_way(flow), [1, 2, 3]);
    }

    #[test]
    fn only_the_cuts_are_others() {
        let flow = || iter([vec![1], vec![2, 3, 4, 5, 6], vec![], vec![7]]).rechunk(2);
        assert_eq!(every_way(flow), [vec![1, 2], vec![3, 4], vec![5, 6], vec![7]]);
    }

    #[test]
    fn a_chunk_comes_with_its_last_item() {
        let flow = timetable([(1, vec!['a']), (4, vec!['b', 'c'])], 9).rechunk(2);
        assert_eq!(timeline(flow), (vec![(4, vec!['a', 'b']), (9, vec!['c'])], 9));
    }

    #[test]
    #[should_panic(expected = "chunks: the size must not be zero, at operators/src/transform/fla")]
    fn a_size_of_zero_is_refused_where_it_was_written() {
        let _ = iter([[1]]).rechunk(0);
    }

    /// What a diagram writes as `[a, b]`.
    fn chunk(text: String) -> Vec<char> {
        text.chars().filter(|c| c.is_alphabetic()).collect()
    }

    marbles!(flatten_chunks, |input: String| input.map(chunk).flatten_chunks());
    marbles!(rechunk, |input: String| input.map(chunk).rechunk(2));

    conformance!(rechunk, |input| input.map(|x| vec![x.value(); x.value() as usize % 3]).rechunk(2),
        except [NoAllocation: "each chunk is a vector of its own"]);

    specification!(
        flatten_chunks,
        |input| input.map(|x: u8| vec![x; usize::from(x % 3)]).flatten_chunks(),
        |input| {
            let all = input.events.iter().flat_map(|event| vec![*event; usize::from(event.1 % 3)]);
            Timeline::new(all, input.end)
        },
    );
    specification!(
        rechunk,
        |input| input.map(|x: u8| vec![x; usize::from(x % 3)]).rechunk(2),
        |input| {
            let all = input.events.iter().flat_map(|event| vec![*event; usize::from(event.1 % 3)]);
            let all: Vec<_> = all.collect();
            let chunks = all.chunks(2).map(|chunk| {
                let at = chunk.get(1).map_or(input.end, |last| last.0);
                (at, chunk.iter().map(|(_, x)| *x).collect::<Vec<u8>>())
            });
            Timeline::new(chunks, input.end)
        },
    );
}
