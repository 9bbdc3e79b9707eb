import { expect, test } from "vitest";
import { renderPage } from "./page.ts";

const servedBy = { instance: "reviews-v2-a", version: "v2" };
const book = { id: 0, title: "T", author: "A", year: 1594, kind: "k", pages: 1, language: "l", servedBy };
const content = {
  book: { value: book },
  reviews: {
    value: {
      id: 0,
      reviews: [{ reviewer: "Ada", text: "fine", rating: { stars: 4, color: "black" as const } }],
      servedBy,
    },
  },
  user: undefined,
  servedBy,
};

test("shows stars in their color, and who served what", () => {
  const page = renderPage(content);
  expect(page).toContain('<span class="black" aria-label="4 of 5 stars">★★★★☆</span>');
  expect(page).toContain("<td>reviews</td><td>v2</td><td>reviews-v2-a</td>");
  expect(page).toContain('href="/productpage?u=jason"');
});

test("greets who is signed in", () => {
  expect(renderPage({ ...content, user: "jason" })).toContain("Signed in as <b>jason</b>");
});

test("names the part that is missing, and shows the rest", () => {
  const page = renderPage({ ...content, reviews: { error: "no healthy endpoint" } });
  expect(page).toContain("<b>reviews</b> cannot be shown: no healthy endpoint");
  expect(page).toContain("<h1>T</h1>");
});

test("escapes what services say", () => {
  const page = renderPage({ ...content, book: { error: `<script>alert("x")</script>` } });
  expect(page).toContain("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;");
  expect(page).not.toContain("<script>");
});
