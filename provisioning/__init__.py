"""What a technician does to a gateway: identity, enrolment, workbook, doctor, site pack. Not here yet."""
