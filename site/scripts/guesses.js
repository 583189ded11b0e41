// Questions of a notebook that answer without a kernel, as cvae_lab's guesses.py does with one.

const NEAR = 0.25; // a number this share of the answer away is right
const score = { right: 0, asked: 0 };

/** A number to three digits, as Python's :,.3g up to thousands. */
function shown(number) {
  return Math.abs(number) >= 1000 ? Math.round(number).toLocaleString("en") : String(Number(number.toPrecision(3)));
}

/** What is wrong or right with a guess: `[isRight, words]`. */
export function compare(given, answer) {
  if (typeof given === "string") return given === answer ? [true, "Right"] : [false, "Not this time"];
  const distance = Math.abs(given - answer);
  const isRight = distance <= NEAR * Math.abs(answer);
  if (distance === 0) return [true, "Right"];
  return [isRight, `${isRight ? "Close: off" : "Off"} by ${shown(distance)}`];
}

for (const question of document.querySelectorAll(".guess")) {
  const line = question.querySelector(".guess-field");
  const [field, button, plain] = ["input, select", "button", "details"].map((name) => question.querySelector(name));
  const reply = Object.assign(document.createElement("p"), { className: "guess-reply", role: "status" });
  if (field.matches("select")) field.prepend(new Option("Choose", "", true, true)); // nothing is chosen for the reader
  line.hidden = false;
  question.append(reply);

  const answer = () => {
    const isChoice = field.matches("select");
    if (field.value === "") {
      reply.textContent = isChoice ? "Choose one first." : "Type a number first.";
      field.focus();
      return;
    }
    const wanted = question.dataset.answer;
    const [isRight, words] = isChoice ? compare(field.value, wanted) : compare(field.valueAsNumber, Number(wanted));
    score.right += isRight;
    score.asked += 1;
    question.classList.add(isRight ? "right" : "wrong");
    reply.textContent = `${words}. The answer is ${question.dataset.told} Your score on this page: ${score.right} of ${score.asked}.`;
    field.disabled = button.disabled = true; // one guess a question
    plain.remove(); // the reply says it
  };
  button.addEventListener("click", answer);
  field.addEventListener("keydown", (event) => event.key === "Enter" && answer());
  plain.addEventListener("toggle", () => {
    field.disabled = button.disabled = true; // who looked does not guess any more
  });
}
