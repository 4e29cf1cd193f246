//! The matrix as a picture.

use glassnet_scenarios::reach::{Cell, Matrix};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Width of a letter and height of a line, pixels.
const LETTER: usize = 7;
const LINE: i32 = 16;
/// Size of letters, pixels.
const FONT: i32 = 12;
/// Space around the picture, and beside what stands in a cell, pixels.
const MARGIN: i32 = 16;
const PADDING: i32 = 8;
/// Height of a row, pixels.
const ROW: i32 = 28;

/// Colours of Okabe and Ito, light enough for black letters.
const SAME: RGBColor = RGBColor(0xb2, 0xe2, 0xd5);
const OTHER: RGBColor = RGBColor(0xf8, 0xe0, 0xa6);
const NOT: RGBColor = RGBColor(0xf4, 0xc3, 0xa8);
const EDGE: RGBColor = RGBColor(0xff, 0xff, 0xff);
const DIM: RGBColor = RGBColor(0x66, 0x66, 0x66);

/// Draws it as SVG.
///
/// # Errors
///
/// Those of the library.
pub(super) fn draw(matrix: &Matrix) -> Result<String, String> {
    let mut svg = String::new();
    let picture = Picture::new(matrix);
    {
        let area = SVGBackend::with_string(&mut svg, picture.size()).into_drawing_area();
        picture.draw(&area).and_then(|()| area.present()).map_err(|error| error.to_string())?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// What is drawn, and where.
struct Picture<'a> {
    matrix: &'a Matrix,
    words: Vec<Vec<String>>,
    below: Vec<(RGBColor, String)>,
    /// Width of the names of the rows, and of each column.
    heads: i32,
    columns: Vec<i32>,
}

fn width(text: &str) -> i32 {
    i32::try_from(text.chars().count() * LETTER).unwrap_or(i32::MAX / 4)
}

impl<'a> Picture<'a> {
    fn new(matrix: &'a Matrix) -> Picture<'a> {
        let mut reasons = Vec::new();
        let words = matrix.words(&mut reasons);
        let column = |at: usize| {
            let asked = &matrix.to[at];
            let cells = words.iter().map(|row| width(&row[at]));
            cells.chain([width(&asked.name), width(&asked.target())]).max().unwrap_or(0) + 2 * PADDING
        };
        let mut below = vec![(SAME, "the receiver saw the sender's own address".to_owned())];
        if matrix.cells.iter().flatten().any(Cell::is_translated) {
            below.push((OTHER, "* translated: the receiver saw this address instead".to_owned()));
        }
        let numbered = reasons.iter().enumerate();
        below.extend(numbered.map(|(at, (why, _))| (NOT, format!("{}: {why}", at + 1))));
        let heads = matrix.from.iter().map(|place| width(&place.name)).max().unwrap_or(0) + PADDING;
        Picture { matrix, heads, columns: (0..matrix.to.len()).map(column).collect(), words, below }
    }

    /// Height of what stands above the cells.
    const TOP: i32 = MARGIN + 4 * LINE;

    fn size(&self) -> (u32, u32) {
        let table = self.heads + self.columns.iter().sum::<i32>();
        let texts = self.below.iter().map(|(_, text)| width(text) + LINE + PADDING);
        let inside = texts.chain([table, width(&self.matrix.title()) + 4 * PADDING]).max().unwrap_or(0);
        let rows = ROW * i32::try_from(self.words.len()).unwrap_or(0);
        let below = LINE * i32::try_from(self.below.len()).unwrap_or(0) + LINE;
        let unsigned = |size: i32| u32::try_from(size).unwrap_or(0);
        (unsigned(inside + 2 * MARGIN), unsigned(Self::TOP + rows + below + MARGIN))
    }

    fn draw(&self, area: &Area) -> Drawn {
        area.fill(&WHITE)?;
        let font = |size: i32| ("sans-serif", size).into_font();
        let left =
            |size: i32, colour: RGBColor| font(size).color(&colour).pos(Pos::new(HPos::Left, VPos::Center));
        let centred = |colour: RGBColor| font(FONT).color(&colour).pos(Pos::new(HPos::Center, VPos::Center));
        area.draw(&Text::new(self.matrix.title(), (MARGIN, MARGIN + LINE / 2), left(FONT + 3, BLACK)))?;
        let mut x = MARGIN + self.heads;
        for (asked, column) in self.matrix.to.iter().zip(&self.columns) {
            let middle = x + column / 2;
            area.draw(&Text::new(
                asked.name.clone(),
                (middle, Self::TOP - 3 * LINE / 2 - 2),
                centred(BLACK),
            ))?;
            area.draw(&Text::new(asked.target(), (middle, Self::TOP - LINE / 2 - 2), centred(DIM)))?;
            x += column;
        }
        let mut y = Self::TOP;
        for ((place, cells), words) in self.matrix.from.iter().zip(&self.matrix.cells).zip(&self.words) {
            area.draw(&Text::new(place.name.clone(), (MARGIN, y + ROW / 2), left(FONT, BLACK)))?;
            let mut x = MARGIN + self.heads;
            for ((cell, word), column) in cells.iter().zip(words).zip(&self.columns) {
                let corners = [(x, y), (x + column, y + ROW)];
                area.draw(&Rectangle::new(corners, colour(cell).filled()))?;
                area.draw(&Rectangle::new(corners, EDGE.stroke_width(2)))?;
                area.draw(&Text::new(word.clone(), (x + column / 2, y + ROW / 2), centred(BLACK)))?;
                x += column;
            }
            y += ROW;
        }
        y += LINE;
        for (colour, text) in &self.below {
            let corners = [(MARGIN, y + 2), (MARGIN + LINE - 4, y + LINE - 2)];
            area.draw(&Rectangle::new(corners, colour.filled()))?;
            area.draw(&Text::new(text.clone(), (MARGIN + LINE, y + LINE / 2), left(FONT, DIM)))?;
            y += LINE;
        }
        Ok(())
    }
}

fn colour(cell: &Cell) -> RGBColor {
    match cell.reached {
        false => NOT,
        true if cell.is_translated() => OTHER,
        true => SAME,
    }
}
