import os
import subprocess
import sys

from segue import Runner
from segue.examples.acme import Shop, build, doomed
from segue.team import Team
from segue.testing import ScriptedModel

BOOTS, SEED = "item_204417001", "item_204417007"


async def refund(shop, item, **options):
    """Have the issues agent refund an item; the response."""
    script = ScriptedModel([{"transfer_to_issues_and_repairs": {}}, {"execute_refund": {"item_id": item}}, "That is that."])
    return await Runner(build(shop, **options), model=script).run("My money, please.")


async def test_a_refund_above_the_limit_waits_for_a_person_and_one_up_to_it_does_not():
    shop = Shop()
    response = await refund(shop, BOOTS)
    assert [slot.approval.arguments for slot in response.waiting_for] == ['{"item_id":"item_204417001","reason":"not provided"}']
    assert shop.refunds() == []
    assert (await refund(shop, SEED)).output == "That is that."
    assert [dollars for _, _, dollars, _ in shop.refunds()] == [25]
    shop.close()


async def test_the_limit_is_what_the_team_was_built_with_and_is_not_passed_at_the_very_price():
    shop = Shop()
    assert (await refund(shop, SEED, limit=24)).status == "waiting"
    assert (await refund(shop, SEED, limit=25)).status == "done"
    shop.close()


async def test_two_calls_in_one_message_cannot_get_past_the_limit_by_the_cheaper_of_two_orders():
    shop = Shop()
    shop.execute_order("Iron Bird Seed", 80)
    two = [{"execute_refund": {"item_id": SEED}}, {"execute_refund": {"item_id": SEED, "reason": "again"}}]
    script = ScriptedModel([{"transfer_to_issues_and_repairs": {}}, two, "Done."])
    response = await Runner(build(shop), model=script).run("My money, please.")
    assert len(response.waiting_for) == 2
    assert shop.refunds() == []
    shop.close()


def test_an_approval_holds_for_the_team_whose_process_is_killed():
    shop = Shop()
    assert Team(doomed.triage).fingerprint == Team(build(shop)).fingerprint
    shop.close()


def test_the_team_of_the_package_works_on_the_shop_in_the_file_that_is_named_and_else_in_memory(tmp_path):
    program = "from segue.examples.acme import team; print(team.shop.execute_order('Paint', 5))"

    def run(**named):
        variables = {name: value for name, value in os.environ.items() if name != "ACME_DATABASE"} | named
        return subprocess.run(
            [sys.executable, "-c", program], env=variables, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    assert ["order 5" in run(), "order 5" in run()] == [True, True]
    assert list(tmp_path.iterdir()) == []
    file = str(tmp_path / "acme.db")
    assert ["order 5" in run(ACME_DATABASE=file), "order 6" in run(ACME_DATABASE=file)] == [True, True]
