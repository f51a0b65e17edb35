"""Files of a store removed, cut, emptied, exchanged, or taken from an older backup.

Each file in turn, each kind of damage: the appliance is refused by name, or what is read of it is
right or an error; never the image's bytes, zeros or older bytes in the place of written ones.
"""

import json
import os
import shutil

from lab import wire
from lab.rowan import Rowan
from lab.story import tell
from lab.wire import Wire

FILES = 12
SIZE = 60_000
PATIENT = 60


def image_content(number):
    return b"image %04d " % number * (SIZE // 11)


def written(number, generation):
    return b"%s %04d " % ((b"first", b"later")[generation], number) * 3000


def expected(number, generation):
    whole = image_content(number)
    new = written(number, generation)
    return whole[:10_000] + new + whole[10_000 + len(new):]


def change(rowan, appliance, generation):
    with Wire(rowan.port, timeout_s=PATIENT) as client:
        root = client.mount(f"/{appliance}")[1]
        for number in range(FILES):
            client.write(client.lookup(root, b"image-%d" % number)[1], 10_000,
                         written(number, generation))
            name = b"own-%d-%d" % (generation, number)
            client.create(root, name)
            client.write(client.lookup(root, name)[1], 0, written(number, generation))


def wrong_answers(rowan):
    """What is neither right nor an honest error; and how much was answered."""
    wrong, answered = [], 0
    wanted = {b"image-%d" % number: expected(number, 1) for number in range(FILES)}
    for generation in (0, 1):
        wanted.update({b"own-%d-%d" % (generation, number): written(number, generation)
                       for number in range(FILES)})
    with Wire(rowan.port, timeout_s=PATIENT) as client:
        status, root = client.mount("/victim")
        if status != wire.OK:
            return [], 0
        for name, content in wanted.items():
            status, handle = client.lookup(root, name)
            if status == wire.OK:
                status, data = client.read(handle, 0, 2 * SIZE)
            if status == wire.OK and data == content:
                answered += 1
            elif status not in (wire.IO, wire.JUKEBOX):
                wrong.append((name, status))
    return wrong, answered


def store_of(state, appliance):
    """The directory of its store, below `state`."""
    path = os.path.join(state, "appliances", appliance, "appliance.json")
    with open(path, encoding="utf-8") as record:
        return os.path.join("stores", json.load(record)["record"]["pool"])


def store_files(state):
    """Paths below `state` of the victim's record and of what its store has."""
    below = (os.path.join("appliances", "victim"), store_of(state, "victim"))
    return sorted(os.path.relpath(os.path.join(folder, name), state)
                  for top in below for folder, _, names in os.walk(os.path.join(state, top))
                  for name in names if name != "lock" and "reserve" not in name)


def damages(state, backup, path):
    """(what is done, how) for one file of the store."""
    whole = os.path.join(state, path)
    other = os.path.join(state, path.replace("/victim/", "/other/").replace(
        store_of(state, "victim"), store_of(state, "other")))
    older = os.path.join(backup, path)

    def replace(by):
        return lambda: shutil.copyfile(by, whole)

    yield "removed", lambda: os.unlink(whole)
    yield "emptied", lambda: os.truncate(whole, 0)
    yield "cut in half", lambda: os.truncate(whole, os.path.getsize(whole) // 2)
    if os.path.exists(other):
        yield "exchanged", replace(other)
    if os.path.exists(older):
        yield "from a backup", replace(older)


def copy(source, target):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.sock"))


def prepare(story, end):
    """The proxy, a backup of an earlier state, and the state as `end` (of the proxy) leaves it."""
    image = story.directory("image")
    for number in range(FILES):
        with open(os.path.join(image, f"image-{number}"), "wb") as out:
            out.write(image_content(number))
    rowan = Rowan(story, name=f"rowan-{end.__name__}")
    for appliance in ("victim", "other"):
        rowan.command("create", appliance, image)
    backup, whole = rowan.state + ".backup", rowan.state + ".whole"
    change(rowan, "victim", 0)
    change(rowan, "other", 0)
    rowan.stop()
    copy(rowan.state, backup)
    rowan.start()
    change(rowan, "victim", 1)
    end(rowan)
    copy(rowan.state, whole)
    return rowan, backup, whole


def inflict_all(story, rowan, backup, whole, paths):
    rowan.start()
    story.equal("the healthy store is right", wrong_answers(rowan), ([], 3 * FILES))
    rowan.stop()
    served = refused = 0
    for path in paths:
        copy(whole, rowan.state)
        for what, inflict in damages(rowan.state, backup, path):
            copy(whole, rowan.state)
            inflict()
            rowan.start()
            wrong, answered = wrong_answers(rowan)
            story.equal(f"{path} {what}: nothing wrong is served", wrong, [])
            served, refused = served + (answered > 0), refused + (answered == 0)
            with Wire(rowan.port, timeout_s=PATIENT) as client:
                status = client.mount("/other")[0]
            if status != wire.OK:
                story.equal(f"{path} {what}: the other appliance is served", status, wire.OK)
            rowan.stop()
    story.check("some damage was found", refused > 0, f"{refused} refused, {served} served")


def run(story):
    for end in (Rowan.stop, Rowan.kill):
        rowan, backup, whole = prepare(story, end)
        paths = store_files(whole)
        if end is Rowan.kill:
            # After a crash nothing vouches for the journal's end (cache/FORMAT.md, "weaknesses").
            paths.remove(max(path for path in paths if "/segment-" in path))
        inflict_all(story, rowan, backup, whole, paths)


if __name__ == "__main__":
    tell(run)
