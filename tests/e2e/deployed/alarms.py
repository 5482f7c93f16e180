"""CloudWatch's side of an outage: the queues' metrics, which the emulator does not publish, and an inbox for alarms.

AWS publishes a queue's metrics itself; here they are read with GetQueueAttributes and put where its alarms look.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BATCH = 10
"""What SQS takes at once."""
VISIBLE = "ApproximateNumberOfMessagesVisible"


@dataclass(frozen=True)
class Series:
    """What one metric is called, with its dimensions."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]


@dataclass(frozen=True)
class Backlog:
    """One queue's messages that wait, and their metric."""

    sqs: Any
    cloudwatch: Any
    url: str

    @property
    def series(self) -> Series:
        return Series("AWS/SQS", VISIBLE, {"QueueName": self.url.rpartition("/")[2]})

    def waiting(self) -> int:
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    def repeat(self, times: int) -> None:
        """Send a waiting message so many times again: a backlog of any length, all of it duplicates."""
        [message] = self.sqs.receive_message(QueueUrl=self.url)["Messages"]
        for first in range(0, times, BATCH):
            numbers = range(first, min(first + BATCH, times))
            entries = [{"Id": f"{number}", "MessageBody": message["Body"]} for number in numbers]
            self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
        handle = message["ReceiptHandle"]
        self.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=handle, VisibilityTimeout=0)

    def export(self) -> int:
        """Publish how many wait, as AWS does each minute."""
        waiting, series = self.waiting(), self.series
        dimensions = [{"Name": name, "Value": value} for name, value in series.dimensions.items()]
        datum = {"MetricName": series.metric, "Dimensions": dimensions, "Value": float(waiting), "Unit": "Count"}
        self.cloudwatch.put_metric_data(Namespace=series.namespace, MetricData=[datum])
        return waiting


def alarms_over(plan: Mapping[str, Any], series: Series) -> list[str]:
    """Names of the alarms that are over exactly this series, as the plan has them: the emulator ignores dimensions."""
    return [
        alarm["alarm_name"]
        for alarm in planned(plan, "aws_cloudwatch_metric_alarm")
        if (alarm["namespace"], alarm["metric_name"], alarm["dimensions"])
        == (series.namespace, series.metric, dict(series.dimensions))
    ]


def planned(plan: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    """The values of every resource of a kind in a plan."""

    def within(module: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        own = [each["values"] for each in module.get("resources", ()) if each["type"] == kind]
        return own + [values for child in module.get("child_modules", ()) for values in within(child)]

    return within(plan["planned_values"]["root_module"])


@dataclass
class Inbox:
    """A queue that is subscribed to a topic, in place of somebody's mail."""

    sqs: Any
    sns: Any
    topic: str
    letters: list[dict[str, Any]] = field(default_factory=list)

    def open(self) -> None:
        name = f"inbox-of-{self.topic.rpartition(':')[2]}"
        self.url = str(self.sqs.create_queue(QueueName=name)["QueueUrl"])
        arn = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": self.topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)

    def read(self) -> list[dict[str, Any]]:
        """All that came so far, the oldest first: CloudWatch's own message each."""
        while True:
            found = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", ())
            for message in found:
                self.letters.append(json.loads(json.loads(message["Body"])["Message"]))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            if not found:
                return self.letters

    def states(self, alarm: str) -> list[str]:
        """The states that one alarm was said to have entered."""
        return [letter["NewStateValue"] for letter in self.read() if letter["AlarmName"] == alarm]

    def letter(self, alarm: str, state: str) -> dict[str, Any]:
        """What was said when the alarm entered that state."""
        return next(each for each in self.read() if (each["AlarmName"], each["NewStateValue"]) == (alarm, state))

    def close(self) -> None:
        self.sqs.delete_queue(QueueUrl=self.url)
