"""The line as far as benchmark overlap: spark-submit jobs/decontaminate.py RECIPE --out RUN"""

if __name__ == "__main__":
    from curation.spark_job import job

    job("decontaminate")
