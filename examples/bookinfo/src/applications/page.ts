import type { Book, Review, Reviews } from "./book.ts";
import type { ServedBy } from "./member-process.ts";

/** A part of the page that came, or why it did not. */
export type PagePart<T> = { readonly value: T } | { readonly error: string };

/** Everything on the page. */
export interface PageContent {
  readonly book: PagePart<Book>;
  readonly reviews: PagePart<Reviews>;
  /** Who is signed in. */
  readonly user: string | undefined;
  readonly servedBy: ServedBy;
}

/** The page as HTML. Whatever a service said is escaped. */
export const renderPage = ({ book, reviews, user, servedBy }: PageContent): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Bookinfo on Tulle</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<nav><strong>Bookinfo on Tulle</strong>
${user === undefined ? '<a href="/productpage?u=jason">Sign in as jason</a>' : `<span>Signed in as <b>${escapeHtml(user)}</b></span> <a href="/productpage">Sign out</a>`}
<a href="/productpage?reviews=v3">Ask for reviews v3</a></nav>
<main>
${"value" in book ? renderBook(book.value) : renderHole("details", book.error)}
<h2>Reviews</h2>
${"value" in reviews ? reviews.value.reviews.map(renderReview).join("\n") : renderHole("reviews", reviews.error)}
<h2>Who served what</h2>
<table><thead><tr><th>service</th><th>version</th><th>instance</th></tr></thead><tbody>
${renderServer("productpage", servedBy)}
${"value" in book ? renderServer("details", book.value.servedBy) : ""}
${"value" in reviews ? renderServer("reviews", reviews.value.servedBy) : ""}
${"value" in reviews && reviews.value.ratingsServedBy ? renderServer("ratings", reviews.value.ratingsServedBy) : ""}
</tbody></table>
</main>
</body>
</html>
`;

const renderBook = (book: Book): string => `<h1>${escapeHtml(book.title)}</h1>
<p>by ${escapeHtml(book.author)}, ${book.year}; ${escapeHtml(book.kind)}, ${book.pages} pages, in ${escapeHtml(book.language)}</p>`;

const renderReview = ({ reviewer, text, rating }: Review): string => `<blockquote>
<p>${escapeHtml(text)}</p>
<footer>${escapeHtml(reviewer)}${rating === undefined ? "" : ` <span class="${rating.color}" aria-label="${rating.stars} of 5 stars">${stars(rating.stars)}</span>`}</footer>
</blockquote>`;

const stars = (count: number): string => "★".repeat(count) + "☆".repeat(Math.max(0, 5 - count));

const renderHole = (service: string, error: string): string =>
  `<p class="hole">Sorry, <b>${service}</b> cannot be shown: ${escapeHtml(error)}</p>`;

const renderServer = (service: string, { version, instance }: ServedBy): string =>
  `<tr><td>${service}</td><td>${escapeHtml(version)}</td><td>${escapeHtml(instance)}</td></tr>`;

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? "");

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0; }
nav { display: flex; gap: 1.5rem; padding: .75rem 1.5rem; border-bottom: 1px solid #8884; }
nav strong { margin-right: auto; }
main { max-width: 42rem; margin: 2rem auto; padding: 0 1.5rem; }
blockquote { margin: 1rem 0; padding-left: 1rem; border-left: 3px solid #8886; }
footer { color: GrayText; }
.black { color: CanvasText; }
.red { color: #d22; }
.hole { padding: .75rem 1rem; background: #d222; border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; }
`;
