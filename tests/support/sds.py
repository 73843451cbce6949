"""Exports of Microsoft School Data Sync in the shapes of its versions, with people of our own."""

from collections.abc import Iterable

Files = dict[str, str]
GRADES = ("9", "10", "11", "12")


def lines(header: str, rows: Iterable[str]) -> str:
    return "\r\n".join([header, *rows, ""])


def version_one(students: int, teachers: int) -> Files:
    """Return headers with blanks, dates month first, grades without a zero, one file a kind."""
    learners = [
        f"{1300 + n},100{n % 2},Canary{n},Canary,canary{n},CanaryPassword,ZZ,,{1300 + n},Canary,"
        f"{GRADES[n % 4]},Active,{n % 9 + 1}/{n + 5}/200{n % 9},2030"
        for n in range(students)
    ]
    staff = [
        f"{1400 + n},100{n % 2},Canary{n},Canary,canary-t{n},CanaryPassword,ZZ,{n},Active,Canary,,,"
        for n in range(teachers)
    ]
    return {
        "School.csv": lines(
            "SIS ID,Name,School Number,State ID,Grade Low,Grade High,Principal SIS ID,City",
            [f"100{n},School {n},100{n},ZZ,9,12,1400,Aviary" for n in range(2)],
        ),
        "Section.csv": lines(
            "SIS ID,School SIS ID,Section Name,Term StartDate,Term EndDate,Status",
            ["1100,1000,Birds,7/1/2024,6/30/2025,Active"],
        ),
        "Student.csv": lines(
            "SIS ID,School SIS ID,First Name,Last Name,Username,Password,State ID,"
            "Secondary Email,Student Number,Middle Name,Grade,Status,Birthdate,Graduation Year",
            learners,
        ),
        "Teacher.csv": lines(
            "SIS ID,School SIS ID,First Name,Last Name,Username,Password,State ID,"
            "Teacher Number,Status,Middle Name,Secondary Email,Title,Qualification",
            staff,
        ),
        **memberships(students, teachers),
    }


def memberships(students: int, teachers: int) -> Files:
    header = "Section SIS ID,SIS ID"
    return {
        "StudentEnrollment.csv": lines(header, [f"1100,{1300 + n}" for n in range(students)]),
        "TeacherRoster.csv": lines(header, [f"1100,{1400 + n}" for n in range(teachers)]),
    }


def version_one_minimal(students: int, teachers: int) -> Files:
    """Return the columns that School Data Sync requires; nobody in it has a name."""
    header = "SIS ID,School SIS ID,Username"
    return {
        "School.csv": lines("SIS ID,Name", ["1000,School 0", "1001,School 1"]),
        "Section.csv": lines("SIS ID,School SIS ID,Section Name", ["1100,1000,Birds"]),
        "Student.csv": lines(header, [f"{1300 + n},1000,canary{n}" for n in range(students)]),
        "Teacher.csv": lines(header, [f"{1400 + n},1000,canary-t{n}" for n in range(teachers)]),
        **memberships(students, teachers),
    }


def version_two() -> Files:
    """Return roles in any case and of universities, `grade` for one, a parent org after its own."""
    roles = ("teacher", "staff", "faculty", "aide", "Professor", "Lecturer")
    users = [
        f"{1300 + n},100{n % 3 + 1},Canary{n},Canary,canary{n}@canary.example,CanaryPassword,"
        f"Student,{grade}"
        for n, grade in enumerate(("6", "6", "9", "9", "PS3", "PS3"))
    ]
    users += [
        f"{1400 + n},1001,Canary{n},Canary,canary-t{n}@canary.example,CanaryPassword,{role},6"
        for n, role in enumerate(roles)
    ]
    orgs = [
        "1000,Ministry,ministryofeducation,",
        "1001,Middle,school,1000",
        "1002,High,school,1000",
        "1003,College,college,1004",
        "1004,University,university,",
    ]
    return {
        "orgs.csv": lines("sourcedId,name,type,parentSourcedId", orgs),
        "users.csv": lines(
            "sourcedId,orgSourcedIds,givenName,familyName,username,password,role,grade", users
        ),
        "classes.csv": lines("sourcedId,orgSourcedId,title", ["1100,1001,Birds"]),
        "enrollments.csv": lines("classSourcedId,userSourcedId,role", ["1100,1300,Student"]),
    }


def version_two_one() -> Files:
    """Return grades that stand with the roles, and relationships in a file of their own."""
    users = [
        f"{own},canary{own}@canary.example,Canary{own},Canary,"
        for own in (1300, 1301, 1400, 1500, 1501)
    ]
    roles = [
        "1300,1001,student,,05,true,,",
        "1301,1001,student,,06,true,,",
        "1400,1001,faculty,,,true,,",
    ]
    roles += [f"{own},1001,parent,,,true,," for own in (1500, 1501)]
    relationships = ["1300,1500,guardian", "1301,1500,guardian", "1301,1501,relative"]
    return {
        "orgs.csv": lines("sourcedId,name,type,parentSourcedId", ["1001,Middle,school,"]),
        "users.csv": lines("sourcedId,username,givenName,familyName,email", users),
        "roles.csv": lines(
            "userSourcedId,orgSourcedId,role,sessionSourcedId,grade,isPrimary,"
            "roleStartDate,roleEndDate",
            roles,
        ),
        "relationships.csv": lines(
            "userSourcedId,relationshipUserSourcedId,relationshipRole", relationships
        ),
    }
