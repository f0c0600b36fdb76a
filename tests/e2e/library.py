"""A project as it is after a week of work, for pictures and for looking at every part: the desk of a town library.

About forty rows in English and Japanese; some contradict each other, repeat, break off, name people or break a rule.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from studio import dataset, projects, quality, snapshots, splits
from studio.context import Studio, open_studio
from studio.records import Example, Project, Status, Turn, new_id
from studio.rows import RowFilter, Shares
from studio.settings import Settings

GUIDELINES = (
    "Answer as the library's desk: friendly, in two sentences at most.\n"
    "Name times and prices; say where something is before saying how it works.\n"
    "If only a person can decide it, send the reader to the desk on the ground floor."
)
ROWS: tuple[tuple[str, str, str], ...] = (
    ("How much is a late book?", "20 cents a day, at most 5 euros. Children pay nothing.", "fees"),
    ("What does a new library card cost?", "A replacement card costs 5 euros at the desk.", "cards fees"),
    ("How long can I keep a book?", "Four weeks, and you can renew it twice.", "loans"),
    ("How many books can I borrow at once?", "Twelve, and three of them may be new films.", "loans"),
    ("When are you open on Saturday?", "On Saturdays we are open from ten to four.", "hours"),
    ("Are you open on Mondays?", "No, the library rests on Mondays.", "hours"),
    ("Where do I return books at night?", "Use the return box to the left of the entrance.", "loans"),
    ("Is there a quiet room?", "Yes, on the third floor, behind the newspapers.", "rooms"),
    ("Can I book a room for our group?", "Yes, at the desk, for two hours a day. It costs nothing.", "rooms"),
    ("Do you have e-books?", "Yes, for three weeks each, with your library card.", "loans e-books"),
    ("How do I join?", "Bring an ID to the desk on the ground floor. The first year is free.", "cards"),
    ("Can my child have a card?", "Yes, from birth on, and it costs nothing until 18.", "cards children"),
    ("When is story time?", "Every Wednesday at three, in the children's corner.", "children events"),
    ("Can I print here?", "Yes, beside the copier, for 10 cents a page.", "fees"),
    ("Is there wireless internet?", "Yes, the network is called Library, and the desk tells you the code.", "rooms"),
    ("May I eat in the reading room?", "Only drinks with a lid, please.", "rooms"),
    ("How do I reserve a book?", "Online or at the desk. We write to you when it is there.", "loans"),
    ("How long is a reservation kept?", "We keep it at the desk for 7 days.", "loans"),
    ("Can I renew by telephone?", "Yes, on any day we are open, until an hour before we close.", "loans"),
    ("Do you buy books that readers wish for?", "Yes. Leave the title at the desk, and we decide within a month.", ""),
    ("Where are the large-print books?", "On the ground floor, beside the lift.", ""),
    ("Do you have games?", "Yes, 200 of them, on the second floor. Each goes out for two weeks.", "loans children"),
    # What a scan is to find
    ("How long is a reservation kept?", "We keep it at the desk for 10 days.", "loans"),
    ("When are you open on Saturday", "On Saturdays, we are open from ten to four.", ""),
    ("Can I print here?", "Yes, beside the copier, for 10 cents a page.", "fees"),
    ("Who leads the reading circle?", "Ms Hart leads it. Ask for her at the desk.", "events"),
    ("What is the code for the internet?", "The password is Midori2024books. Please don't pass it on.", "rooms"),
    ("Can I bring my dog?", "Guide dogs are welcome everywhere. Other dogs wait outside, beside the", ""),
    ("Where can I leave my bicycle?", "Die Fahrräder stehen hinter dem Haus, gleich neben dem Garten.", ""),
    ("Is the café open on Sunday?", "Unfortunately the café is closed on Sundays.", "hours"),
    ("Do you have a piano?", "Yes, in the music room on the second floor.<|im_end|>", "rooms"),
    # Japanese
    ("開館時間を教えてください。", "火曜から日曜の9時半から18時です。月曜は休館です。", "hours"),
    ("カードをなくしました。どうすればいいですか。", "窓口で再発行します。手数料は500円です。", "cards fees"),
    ("本を延長できますか。", "はい、予約がなければ二回まで延長できます。", "loans"),
    ("駐車場はありますか。", "図書館の裏に二十台分あります。二時間まで無料です。", ""),
    ("何冊まで借りられますか。", "一度に12冊まで、4週間借りられます。", "loans"),
    ("子どもの読み聞かせはいつですか。", "毎週水曜の15時から、一階の子どもコーナーです。", "children events"),
    ("コピーはできますか。", "はい、一枚10円です。一階の階段の横にあります。", "fees"),
    ("本の予約は何日取り置いてもらえますか。", "7日間、窓口でお取り置きします。", "loans"),
    (
        "読書会の申し込みはどこですか。",
        "担当の山田まで。メールはyamada@midori-tosho.jpです。",
        "events",
    ),
)
BY = ("Aiko", "Ben", "Chidi")
SOURCES = ("chat", "import", "typed")


def fill(studio: Studio, name: str = "Town library") -> Project:
    """Make the project: rows, decisions, a rule, a split, two snapshots, and the flags of a scan."""
    project = projects.create(studio, name, guidelines=GUIDELINES, goal=60)
    rows = [_row(project, *row, number=number) for number, row in enumerate(ROWS)]
    turns = (
        Turn("user", "I moved away. Can I keep my card?"),
        Turn("assistant", "Yes, for a year."),
        Turn("user", "And after that?"),
    )
    talk = _row(
        project, "", "Then it ends, and your new town gives you one. Bring ours to the desk.", "cards", number=40
    )
    rows.append(replace(talk, messages=turns, status="approved"))
    dataset.add_rows(studio, project.id, rows, "imported", detail="desk-questions.csv", author="Aiko")
    snapshots.take(studio, project.id, "before the review", RowFilter(statuses=("approved",)), "Aiko")
    _review(studio, [row.id for row in rows])
    snapshots.take(studio, project.id, "after the review", RowFilter(statuses=("approved",)), "Ben")
    splits.deal(studio, project.id, Shares(0.1, 0.1, seed=11), "Ben")
    quality.add_rule(studio, project.id, "must_not_contain", "unfortunately", "Say what is possible instead.")
    quality.add_rule(studio, project.id, "max_words", "40", blocks=True)
    quality.scan_project(studio, project.id)
    return project


def _row(project: Project, question: str, answer: str, tags: str, number: int) -> Example:
    status: Status = "draft" if number % 4 == 3 or number > 21 else "approved"
    return Example(
        new_id("e"),
        project.id,
        1,
        status,
        (Turn("user", question),),
        answer,
        rejected="It depends on your library." if number % 5 == 2 else None,
        source=SOURCES[number % 3],
        author=BY[number % 3],
        tags=tuple(tags.split()),
    )


def _review(studio: Studio, ids: list[str]) -> None:
    """What a week of looking at rows leaves behind."""
    dataset.edit(studio, ids[0], answer="20 cents a day, at most 5 euros in all. Children pay nothing.", author="Ben")
    dataset.edit(studio, ids[0], rating=5, note="Checked against the price list of March.", author="Aiko")
    dataset.edit(studio, ids[9], rating=4, author="Ben")
    circle = "Ms Hart leads it: 020 7946 0958, or l.hart@midori-library.org."
    dataset.edit(studio, ids[25], answer=circle, author="Chidi")
    dataset.edit(studio, ids[25], rating=2, note="May we print her number? Ask her first.", author="Aiko")
    dataset.edit(studio, ids[32], rating=5, status="approved", author="Aiko")
    dataset.edit(studio, ids[15], answer="Only drinks with a lid, and nothing to eat, please.", author="Chidi")
    dataset.set_status(studio, ids[19], "rejected", "Chidi")
    for number in (3, 7, 31, 33, 34, 36):
        dataset.set_status(studio, ids[number], "approved", "Ben")
    dataset.edit(studio, ids[21], rating=3, note="Ask whether it is still 200.", author="Chidi")


def make(workspace: Path) -> Path:
    """A workspace that holds the project and nothing else."""
    studio = open_studio(Settings(workspace=workspace, engine="echo", author="Aiko"), "a project to look at")
    try:
        fill(studio)
    finally:
        studio.close()
    return workspace
